"""Extensions: manifests, and the host that loads them in isolation."""
