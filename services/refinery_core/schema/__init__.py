"""Schemas that check: compiled validators, cached. Pure."""
