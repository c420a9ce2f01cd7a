"""Networks that read pictures, and the streaming pass of a set through one: pictures -> features on disk."""
