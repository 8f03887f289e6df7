"""The assets, left to right: data, models, release."""
