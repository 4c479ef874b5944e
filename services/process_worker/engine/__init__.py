"""Carries a process out: deterministic, and ignorant of Temporal; its ports do everything else."""
