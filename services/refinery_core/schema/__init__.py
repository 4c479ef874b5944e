"""Composing schemas and validating with them. Pure."""
