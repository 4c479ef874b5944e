"""What processes reach outside: HTTP, gRPC, the ledger, Python functions. Runs in activities only."""
