"""The engine on Temporal: workflows, their messages, and their ports."""
