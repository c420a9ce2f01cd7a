"""The pipelines that the extension declares, one a module."""
