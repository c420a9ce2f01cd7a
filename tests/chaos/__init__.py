"""Faults on purpose: processes that are killed, files that cannot be written, an index that is rubbish."""
