"""The checks of the gate: one module each, one idea each. See `curate.gate.checks.case` for what they share."""
