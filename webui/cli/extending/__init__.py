"""What ``ext`` does to extensions: writes new ones, installs, updates and removes them. Reached by the command line
alone; no route and no control of the page leads here (tests/contract/test_installing.py).
"""
