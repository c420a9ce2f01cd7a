"""From a model's file to its network: one reader a format. Tensors and plain values are read, nothing is run."""
