"""What the ledger keeps of executions and schedules."""
