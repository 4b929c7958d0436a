"""Wind over time and place: sources of a world, and the same formulas for a batch."""
