"""Scores of single pictures and of pairs: pictures as arrays or tensors in, numbers out. Nothing here knows jobs."""
