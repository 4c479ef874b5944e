"""Expressions: jq in processes that can be killed."""
