"""What is fast, measured against what: ratios from one run on one machine."""
