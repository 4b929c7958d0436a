"""Ways to a policy: gradient through the dynamics, imitation, search; runs that resume."""
