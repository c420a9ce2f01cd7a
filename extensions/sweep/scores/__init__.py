"""Scores of a sweep's cells: which are asked for, taking them, and the table and the plots that they make."""
