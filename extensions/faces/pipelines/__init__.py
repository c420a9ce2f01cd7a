"""What jobs of this extension do; imported in the worker."""
