"""Rows of a home page: lists of movies that each have one idea, and a page composed of them.

`trends`, `gems`, `genres`, `series` and `seeds` each know one idea; `composition` chooses and orders the rows.
"""
