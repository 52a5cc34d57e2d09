r"""Take the pictures of docs/review.md, of results of ``nvc run``.

    xvfb-run -a -s "-screen 0 1920x1080x24" python -m benchmarks.review.pictures RESULTS --case CASE \
        --out docs/figures

RESULTS is a folder of one or more results of phantoms; it is copied first. CASE is the one to show.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from napari.qt import get_qapp
from PySide6.QtGui import QCursor

from benchmarks.review.run import rest
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Landmark
from nvc_pipeline.viewer.app import ReviewWindow, make_window

_SIZE = (1600, 900)
_LIMIT_S = 90.0


def take(window: ReviewWindow, out: Path, name: str) -> None:
    """Let the window draw and keep what it shows."""
    rest(1500)
    window.grab().save(str(out / f"{name}.png"))
    print(name, flush=True)


def settled(window: ReviewWindow) -> None:
    """Wait until the exact numbers have taken the place of the estimate."""
    desk, begun = window.reading.desk, time.perf_counter()
    while desk is not None and desk.pending() and time.perf_counter() - begun < _LIMIT_S:
        rest(50)


def pictures(home: Path, case: str, out: Path) -> None:
    """Take each picture in turn."""
    window = make_window(home, load_config(), "reader")
    window.resize(*_SIZE)
    window.show()
    window.activateWindow()
    window.look_for_results()
    rest(4000)
    take(window, out, "worklist")
    window.open_case(case)
    rest(6000)
    view = window.reading
    take(window, out, "reading_view")
    view.act("compare")
    take(window, out, "reading_compared")
    view.act("compare")
    view.act("surgeon")
    third = view.third
    QCursor.setPos(third.mapToGlobal(third.rect().center()))
    rest(500)
    view.act("large")
    take(window, out, "surgeons_view")
    view.act("large")
    desk, side = view.desk, view.side
    assert desk is not None
    nerve = desk.traced(side).nerve
    assert nerve is not None
    place = nerve.free.points.xyz[0] + np.array([0.5 * side.sign_x, -0.3, 0.4])
    view.toolbox.run(lambda d: d.move_landmark(side, Landmark.ROOT_DETACHMENT_POINT, place))
    settled(window)
    take(window, out, "reading_corrected")
    window.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--case", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    # Held here: Qt ends with its application.
    application = get_qapp()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "results"
        shutil.copytree(given.results, home, ignore=shutil.ignore_patterns("nvc_review*", "review"))
        pictures(home, given.case, given.out)
        application.processEvents()


if __name__ == "__main__":
    main()
