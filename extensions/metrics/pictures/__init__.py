"""Scores of single pictures and of pairs."""
