"""The process worker: executes Process Vibes on Temporal, each with one result in the ledger."""
