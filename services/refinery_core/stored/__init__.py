"""Stored Vibes: read by reference as of a moment; their schemas pinned, composed and compiled."""
