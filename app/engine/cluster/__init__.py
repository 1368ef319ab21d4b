"""The engine whose devices are on the machines of a Ray cluster."""
