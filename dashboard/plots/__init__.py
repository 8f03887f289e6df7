"""The charts of each page, drawn with Altair; what they share is in charts.py."""
