"""Expressions in jq, read and judged before anybody evaluates them."""
