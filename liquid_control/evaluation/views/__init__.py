"""Pictures, films and pages of a flight; each view takes a log."""
