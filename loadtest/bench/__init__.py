"""Benchmarks of the running system; ``python -m loadtest.bench``."""
