"""Searches a model's best settings, and ranks what was tried."""
