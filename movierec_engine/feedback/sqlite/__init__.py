"""The feedback log in a SQLite file beside the artifacts, for one machine."""
