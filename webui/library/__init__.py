"""What was made: files, their metadata, and an index that can be rebuilt from them."""
