"""Room of networks: our own small ones, those of others that spandrel reads, and how any runs over a large picture."""
