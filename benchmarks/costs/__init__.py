"""What the dearest requests cost at each door."""
