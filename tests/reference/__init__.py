"""Slow truths: the same mathematics in plain NumPy, SciPy and mpmath, for tests to compare with."""
