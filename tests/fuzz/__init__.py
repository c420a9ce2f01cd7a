"""Requests that mean no good, or make no sense."""
