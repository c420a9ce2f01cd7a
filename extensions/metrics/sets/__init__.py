"""Formulas of scores on arrays of features: float64 [N,D] in, numbers with intervals out."""
