"""What a completion says: its form, its words, whom and what it speaks of."""
