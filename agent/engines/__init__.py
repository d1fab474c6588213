"""Sampling and scoring behind one protocol, with one tokenisation: transformers, vLLM, a server."""
