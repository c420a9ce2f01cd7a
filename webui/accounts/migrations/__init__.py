"""Alembic's folder: how the tables of accounts came to be what they are."""
