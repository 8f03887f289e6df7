"""The Flask application that serves the newest promoted index."""
