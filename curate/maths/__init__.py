"""Numbers, units and mathematical signs as people write them: the ground that arithmetic and answers share."""
