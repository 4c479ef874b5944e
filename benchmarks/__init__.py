"""Measurements against baselines: ratios from one run on one machine."""
