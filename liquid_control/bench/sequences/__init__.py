"""The sequence tasks of the liquid papers, every network, several seeds."""
