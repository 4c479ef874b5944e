"""The RECORDs that the ledger keeps of executions and schedules."""
