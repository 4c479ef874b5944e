"""The lint of jq expressions, before they are evaluated."""
