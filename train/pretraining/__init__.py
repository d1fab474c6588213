"""Causal language models from nothing, on text and chats."""
