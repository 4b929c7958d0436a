"""How often the intervals of suites cover the truth, and how often "clearly" is said of nothing."""
