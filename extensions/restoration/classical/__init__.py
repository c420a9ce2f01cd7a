"""Room of filters that need no weights."""
