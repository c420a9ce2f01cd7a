"""The realism report: all that was measured of a set of generated pictures, on one page that holds itself."""
