"""Pictures as they come in and go out."""
