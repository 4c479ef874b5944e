"""The noun: references, documents, digests. Pure: no I/O, no gRPC, no database."""
