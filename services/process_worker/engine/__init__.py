"""The interpreter of processes: deterministic, and without Temporal; its ports do everything else."""
