"""A package by name, so that no other distribution's `tests`, of which some are installed, stands in its place."""
