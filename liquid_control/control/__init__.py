"""From measurements to one command: gates, observation, supervisor; knows no vehicle by name."""
