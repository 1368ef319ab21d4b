"""What runs in an engine's child process and makes the pictures: a module, and a `Maker`, for each way of it."""
