"""What is attached to a model for the time of a job."""
