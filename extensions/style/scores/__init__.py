"""What became of content and style, in numbers."""
