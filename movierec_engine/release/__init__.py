"""Decides what is served of a data set, and keeps the record of it."""
