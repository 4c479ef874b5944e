"""The engine on Temporal: workflows, what they are given, and what replays with them."""
