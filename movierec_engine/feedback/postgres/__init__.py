"""The feedback log in PostgreSQL, for API hosts on several machines; needs the extra `postgres`."""
