"""What every door shares of HTTP: security, errors, streams, metrics, request ids, the page of the API."""
