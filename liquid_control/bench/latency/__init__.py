"""How long a policy's step takes, as it flies."""
