"""One module a trainer: what it reads, which rows it knows, and the line that starts it."""
