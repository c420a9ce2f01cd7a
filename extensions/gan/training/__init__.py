"""Training that knows no model: data, steps, checkpoints, curves, warnings. Imports nothing of this extension, so that
another kind of model can be trained by it as it is.
"""
