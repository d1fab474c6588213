"""Versions as the files that trainers read, and what each trainer makes of them."""
