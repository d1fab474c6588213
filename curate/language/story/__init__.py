"""What a text tells of whom and of how many: persons, parts, relations, and the words that stand where."""
