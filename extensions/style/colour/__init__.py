"""Colours of one picture for another. NumPy alone."""
