"""The world outside: HTTP, gRPC, the ledger, Python functions. Only activities use it."""
