"""One folder for each kind of vehicle."""
