"""What the backbone is asked: rewriting, repairing, judging, as message lists with an id each."""
