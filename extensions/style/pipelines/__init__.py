"""Jobs of this tab."""
