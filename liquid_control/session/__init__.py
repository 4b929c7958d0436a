"""A request to fly, from what is asked for to what came of it."""
