"""The language of prompts: from what a person typed to what text encoders are given. Nothing here imports torch."""
