"""Resumable jobs over batches of rows: the stored plan, the parts, the gate beside the engine."""
