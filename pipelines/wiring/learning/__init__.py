"""What `recast learn` begins with and is set to: agent and training, which do not know each other, put together."""
