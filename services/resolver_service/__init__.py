"""The resolver: what references mean, then and now, and what a change breaks."""
