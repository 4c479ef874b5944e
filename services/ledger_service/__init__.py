"""The ledger: the one write, and every question about what is written."""
