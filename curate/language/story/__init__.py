"""What a text tells of whom and of how many: persons, parts, relations, plans, and the words that stand where."""
