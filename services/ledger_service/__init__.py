"""The ledger: the one write, and every question about the Vibes and refinements that it made."""
