"""Policies compared over conditions: the file, the flights, the statistics, the results."""
