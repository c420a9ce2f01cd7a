"""Lifelike: a studio for generated images that measures how real they look."""

__version__ = "0.1.0"
