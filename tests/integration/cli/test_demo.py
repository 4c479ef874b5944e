from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.long
def test_the_demo_holds_every_claim_and_can_be_run_again(short_folder: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "demo"],
            cwd=short_folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Every claim above was checked, and holds." in done.stdout
    print(done.stdout[-900:])
