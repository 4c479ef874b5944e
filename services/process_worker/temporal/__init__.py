"""Temporal: the connection, its client, schedules, and payloads."""
