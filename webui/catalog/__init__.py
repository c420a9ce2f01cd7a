"""Which model files are there and what they are, from their headers alone."""
