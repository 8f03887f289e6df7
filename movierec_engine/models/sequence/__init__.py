"""Models that know the order of a history."""
