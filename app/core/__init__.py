"""Values that every room shares: errors, the request and job schema, settings, logs. No I/O but reading settings."""
