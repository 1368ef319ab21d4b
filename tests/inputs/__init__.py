"""Pictures that jobs start from."""
