"""What a person runs: the `recast` command, its configuration, run folders, reports and the demo."""

__version__ = "0.1.0"
