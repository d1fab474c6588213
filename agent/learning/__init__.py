"""GRPO on TRL: one resumable run, from rows to an adapter with a manifest."""
