"""The gRPC door of the service: methods, read, answered and refused."""
