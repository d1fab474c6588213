"""Setting up and keeping up: configuration, this machine, the store."""
