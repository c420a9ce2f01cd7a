"""Faces that speak: sounds to tracks of mouth and lids, tracks to frames, frames and sound to a film."""
