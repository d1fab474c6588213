"""Files in: which format a file has, which column is what, rows as demonstrations, bad rows with their line."""
