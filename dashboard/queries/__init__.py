"""What the pages ask of the artifact store: DuckDB in memory over its JSON and Parquet files.

Nothing here holds a lock or writes. What cannot be read becomes a note or an absence, never an exception.
"""
