"""The refinery command."""
