"""Runs: a job and what it was asked, in a folder that its identity names; stages that chain them."""
