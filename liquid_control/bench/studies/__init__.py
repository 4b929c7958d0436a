"""Two studies of the LTC paper: solver against closed form, and expressivity."""
