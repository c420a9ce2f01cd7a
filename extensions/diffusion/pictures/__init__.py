"""Pictures that come in: opened, masked, preprocessed, enlarged. No diffusion model."""
