"""What is done in the latent spaces of generators: drawing, truncation, walks, mixing."""
