"""How a text states its answer: marks, the clause that holds it, the last expression where nothing is marked."""
