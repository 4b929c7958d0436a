"""What flights were worth: metrics, recordings, suites and what they look like."""
