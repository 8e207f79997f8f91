"""Benchmarks of the message path beside what a Python user can pick today (see README.md here)."""
