"""The engine on transformers: samples of a prompt share its prefill, finished rows leave the batch."""
