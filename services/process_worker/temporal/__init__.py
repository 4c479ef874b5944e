"""Temporal: the connection, its client, schedules, payloads, and their codec."""
