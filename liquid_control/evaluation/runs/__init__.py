"""Runs that were kept in folders, flights and trainings, found again and laid over each other."""
