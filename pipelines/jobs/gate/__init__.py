"""`recast gate ...`: audit versions with a gate, measure the gate itself."""
