"""The pocket world, the pocket backbone trained on it, and the demo that shows the whole idea on both."""
