"""How fast a policy trains through the batched dynamics."""
