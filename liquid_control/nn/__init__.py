"""Networks in torch, and their way into a policy file."""
