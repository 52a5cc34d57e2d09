"""Running the command line as a user would, and looking at what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
SEED = 5  # the demo's, as is the quality


def nvc(*args: str | Path, timeout: float = 600, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a user would."""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [sys.executable, "-m", "nvc_pipeline", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=cwd,
        check=False,
    )


@dataclass(frozen=True)
class Run:
    """A finished run: its study, truth, output folder and what it printed."""

    study: Path
    truth: dict
    out: Path
    process: subprocess.CompletedProcess[str]

    @property
    def case(self) -> dict:
        return json.loads((self.out / "case.json").read_text())


def tree(out: Path) -> dict[str, bytes]:
    """Return every file of a result folder with its bytes."""
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
