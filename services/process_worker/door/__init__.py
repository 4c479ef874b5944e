"""The gRPC service: its methods, and the commands behind them."""
