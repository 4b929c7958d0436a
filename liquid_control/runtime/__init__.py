"""Policy files: what is in them, the checks at loading, the step. Needs no torch."""
