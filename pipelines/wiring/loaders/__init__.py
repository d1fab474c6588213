"""Trainers' own loaders on an export: the witnesses of `curate.export.check.masks`."""
