"""Lowest room: pictures as arrays, their colours, and how they go bad."""
