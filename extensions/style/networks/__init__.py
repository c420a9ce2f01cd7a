"""Networks that see pictures and draw from what was seen; tensors in, tensors out."""
