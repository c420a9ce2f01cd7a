"""Networks that find faces, landmarks and parts: their layouts, and how their weights are read."""
