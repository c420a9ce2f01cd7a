"""Durable jobs: the store, the dispatcher, and the executors that carry jobs to workers."""
