"""The machinery that every drawing pipeline shares: samplers, noise, groups of pictures, passes, previews."""
