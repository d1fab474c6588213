"""vLLM as an engine, on this machine."""
