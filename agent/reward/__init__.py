"""What a rewrite is worth: the formula, what it is made of, and the ledger that watches it."""
