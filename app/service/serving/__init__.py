"""What serves the app: gunicorn or waitress, the loop in front of the threads, one owner for each data folder."""
