"""Top room: jobs."""
