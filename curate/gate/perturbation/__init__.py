"""Labelled completions from a dataset's own rows: right retellings, and the same with one thing made wrong."""
