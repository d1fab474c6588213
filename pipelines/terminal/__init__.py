"""What a person sees on a terminal: progress, rows, the history of versions."""
