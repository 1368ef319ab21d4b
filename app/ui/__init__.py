"""The web page: a view over the HTTP API. It owns no job, and imports neither torch nor flask."""
