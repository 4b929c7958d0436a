"""What stands in a world and how the world looks."""
