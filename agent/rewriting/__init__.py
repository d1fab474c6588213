"""The rewriting job: generate, verify, repair, choose, else keep the expert."""
