"""The pipelines: from frozen parameters to artifacts. Imported in the worker, when a job of theirs first runs."""
