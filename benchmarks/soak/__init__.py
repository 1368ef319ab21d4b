"""The soak: a whole studio in use for an hour while things are broken under it."""
