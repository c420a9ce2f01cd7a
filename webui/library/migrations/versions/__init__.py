"""Revisions of the index, in order."""
