"""Rejective fine-tuning: learning from what was accepted and from what was refused, per candidate and with reasons."""
