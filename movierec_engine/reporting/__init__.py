"""The words, numbers and curves that every surface shows."""
