"""Whether a rewrite may replace a demonstration: checks, the verdict, and how often the gate itself is wrong."""
