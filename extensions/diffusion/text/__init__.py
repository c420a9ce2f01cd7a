"""From a prompt that was read to what a text encoder and a denoiser are given."""
