"""One more scheduler of the same batches: actors around our engines on a Ray cluster, the driver alone writes."""
