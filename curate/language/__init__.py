"""What the words of a text tell: its language, its sentences, its vocabulary."""
