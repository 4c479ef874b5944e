"""The worker: carries out Process Vibes on Temporal; the result enters the ledger by refine."""
