"""The same picture of a pipeline of real size, by several ways to have it made."""
