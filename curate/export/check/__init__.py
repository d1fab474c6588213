"""What a trainer makes of an export: which tokens train, which rows it drops or cuts."""
