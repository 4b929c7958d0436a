"""Bodies of vehicles in the simulated world, one file for each kind."""
