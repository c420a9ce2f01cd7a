"""The worker side, the only room of the host where torch lives."""
