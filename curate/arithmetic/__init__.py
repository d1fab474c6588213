"""Every equality that a text states, and whether it is true."""
