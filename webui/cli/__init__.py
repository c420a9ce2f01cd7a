"""The command line, on top of everything but launch.py: each command is a module of its own."""
