"""How a model is laid out in memory on a given machine: arithmetic alone, so it needs no torch."""
