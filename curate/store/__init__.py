"""Versions on disk: immutable Parquet parts and the DuckDB catalog that names them."""
