"""Where the pictures of a set come from: a reference such as a folder -> pictures, in order, one at a time."""
