"""Queries of the pages to the artifact store: DuckDB in memory over its JSON and Parquet files.

Nothing here holds a lock or writes. What cannot be read becomes a note or an absence, never an exception.
"""
