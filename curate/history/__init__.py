"""Questions about versions: what changed, word by word, why a row reads as it does, merging, SQL."""
