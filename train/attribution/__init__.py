"""Which rows of a change helped the model that learns from them, and which hurt."""
