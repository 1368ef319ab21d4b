"""The command line: a client like any other. It starts no service and loads no model."""
