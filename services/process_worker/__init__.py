"""Carries out Process Vibes: durably on Temporal, with one result in the ledger."""
