r"""Measure the review window on results of ``nvc run``.

    xvfb-run -a -s "-screen 0 1920x1080x24" python -m benchmarks.review.run RESULTS --out results.json

The results are copied first; nothing is written into RESULTS. Each row has the elapsed seconds
until the window has drawn what changed, and the processor seconds of this process (with a
software GL those of drawing too). For an edit ``exact`` is the time until the exact numbers,
measured behind the window, have taken the place of the first estimate. Beside them stands what
a reader would have otherwise: napari alone with the same images, and the full measurement of
the side at once.

It ends by itself: an exact measurement is waited for ``--exact-limit`` seconds at most (``exact_s``
is null then), eight times; on an idle machine all takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from napari.qt import get_qapp
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest

from benchmarks.review.many import thousand
from nvc_pipeline.config import Config, load_config
from nvc_pipeline.domain.anatomy import Landmark, Side, VesselClass
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.review.desk import CaseDesk
from nvc_pipeline.review.strokes import Stroke
from nvc_pipeline.viewer.app import ReviewWindow, make_window
from nvc_pipeline.viewer.tools import Tool

_WRITTEN_LIMIT_S = 120.0
# From the list: open, contact, accept, other side, contact, accept, sign.
_FULL_READ = ("Return", "1", "A", "S", "1", "A", "Ctrl+Return")


class Clock:
    """Rows of named times."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def time(self, name: str, act: Callable[[], object], **more: object) -> dict[str, object]:
        """Do something, let the window draw, and keep how long both took."""
        elapsed, cpu = time.perf_counter(), time.process_time()
        act()
        get_qapp().processEvents()
        row: dict[str, object] = {
            "what": name,
            "elapsed_s": round(time.perf_counter() - elapsed, 3),
            "cpu_s": round(time.process_time() - cpu, 3),
            **more,
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        return row


def rest(milliseconds: int) -> None:
    """Let the window run for a while.

    ``QTest.qWait`` would do, but vispy puts a loop in its place that never sleeps, and takes the
    processor from the work behind the window that is waited for.
    """
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def edits(desk: CaseDesk, side: Side) -> Iterator[tuple[str, Callable[[CaseDesk], object]]]:
    """Yield each kind of correction as a reader would make it on this side."""
    nerve = desk.traced(side).nerve
    assert nerve is not None
    line = nerve.free.points.xyz
    away = np.array([0.6 * side.sign_x, 0.5, 0.0])
    yield "move detachment", lambda d: d.move_landmark(side, Landmark.ROOT_DETACHMENT_POINT, line[0] + away)
    yield "move porus", lambda d: d.move_landmark(side, Landmark.PORUS, line[-1] + away)
    yield "draw path", lambda d: d.move_path(side, line[len(line) // 2] + 0.4)
    yield "trace nerve, three clicks", lambda d: d.trace_nerve(side, line[[0, len(line) // 2, -1]])
    vessel = desk.contacts(side)[0].vessel_id
    other = desk.contacts(side)[-1].vessel_id
    at = next(v for v in desk.traced(side).vessels if v.vessel_id == vessel).centreline.points.xyz
    yield "add vessel", lambda d: d.add_vessel(side, [at[len(at) // 2]], VesselClass.PICA)
    yield "rename vessel", lambda d: d.rename_vessel(side, vessel, VesselClass.VEIN)
    yield "remove artefact", lambda d: d.remove_vessel(side, other)
    flat = np.arange(200, dtype=np.int64) + desk.labels().size // 2
    before = desk.labels().reshape(-1)[flat]
    yield "brush stroke", lambda d: d.paint(side, Stroke(flat, before, 1))


def correct(clock: Clock, window: ReviewWindow, exact_limit_s: float) -> None:
    """Time every kind of correction, each until it is shown and until it is exact."""
    view = window.reading
    assert view.desk is not None
    side = view.side
    view.take_tool(Tool.PATH)
    # As long as a reader looks before the first click: the vessels are fitted ahead meanwhile.
    rest(8000)
    for name, act in list(edits(view.desk, side)):
        row = clock.time(name, lambda act=act: view.toolbox.run(act))
        begun = time.perf_counter()
        while view.desk.pending() and time.perf_counter() - begun < exact_limit_s:
            rest(20)
        exact = float(str(row["elapsed_s"])) + time.perf_counter() - begun
        row["exact_s"] = None if view.desk.pending() else round(exact, 3)
        print(f"  exact after {row['exact_s']} s", flush=True)
        clock.time("undo", lambda: view.act("undo"))
    clock.time("redo", lambda: view.act("redo"))
    view.act("undo")
    view.take_tool(Tool.LOOK)


def whole_measurement(clock: Clock, desk: CaseDesk, side: Side, config: Config) -> None:
    """Time what a correction would cost without the first estimate."""
    image = desk.result.cisternogram
    assert image is not None
    line = desk.traced(side)
    clock.time("for comparison: measure the side at once", lambda: measure_side(line, image, config.measure))


def read_by_keys(clock: Clock, window: ReviewWindow, case: str) -> None:
    """Read a case from the list to the signature by keys alone."""
    window.go("worklist")
    window.worklist.select(case)
    window.worklist.table.setFocus()
    view = window.reading

    def read() -> None:
        for key in _FULL_READ:
            target = window.worklist.table if key == "Return" else view
            modifier = Qt.KeyboardModifier.ControlModifier if "+" in key else Qt.KeyboardModifier.NoModifier
            QTest.keyClick(target, Qt.Key[f"Key_{key.split('+')[-1]}"], modifier)
            if key == "Return":
                view.setFocus()
            get_qapp().processEvents()

    written: list[object] = []
    view.behind.written.connect(written.append)
    clock.time("full read, nothing to correct", read, actions=len(_FULL_READ))
    assert view.desk is not None
    assert view.desk.signed is not None, "the read did not end in a signature"

    def wait() -> None:
        begun = time.perf_counter()
        while not written and time.perf_counter() - begun < _WRITTEN_LIMIT_S:
            rest(20)

    # So that what follows is not timed beside it.
    clock.time("report and exports of the signature, behind the window", wait)


def napari_alone(clock: Clock, desk: CaseDesk) -> None:
    """Time what napari alone takes to show the same images."""
    import napari

    volumes = [v.array for v in (desk.result.cisternogram, desk.result.tof, desk.result.labels) if v]

    def show() -> None:
        viewer = napari.Viewer()
        for array in volumes[:-1]:
            viewer.add_image(array)
        viewer.add_labels(volumes[-1].astype(np.uint8))
        get_qapp().processEvents()
        viewer.close()

    clock.time("for comparison: napari alone, the same images in one pane", show)


def many_cases(clock: Clock, window: ReviewWindow, count: int) -> None:
    """Time the list with many cases: open, search, filter, order, scroll to the end by pages."""
    view = window.worklist
    window.go("worklist")
    thousand(window.database, count)
    clock.time(f"list of {count}: shown", view.refresh)
    clock.time(f"list of {count}: search", lambda: view.search.setText("aica"))
    clock.time(f"list of {count}: search taken back", view.search.clear)
    clock.time(f"list of {count}: filter by grade", lambda: view.grade.setCurrentText("contact"))
    view.grade.setCurrentIndex(0)
    clock.time(f"list of {count}: other order", lambda: view.order.setCurrentIndex(2))
    bar = view.table.verticalScrollBar()
    pages = 0

    def scroll() -> None:
        nonlocal pages
        while bar.value() < bar.maximum():
            bar.setValue(bar.value() + bar.pageStep())
            pages += 1
            get_qapp().processEvents()

    row = clock.time(f"list of {count}: scrolled to the end, page by page", scroll)
    row["pages"] = pages


def main() -> None:
    """Run all and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--exact-limit", type=float, default=60.0, help="seconds to wait for exact numbers")
    given = parser.parse_args()
    config, clock = load_config(), Clock()
    # Held here: Qt ends with its application.
    application = get_qapp()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "results"
        leave = shutil.ignore_patterns("nvc_review*", "review")
        shutil.copytree(given.results, home, ignore=leave)
        made: list[ReviewWindow] = []
        clock.time("open the window, import what is there", lambda: made.append(_window(home, config)))
        window = made[0]
        cases = [row.case_id for row in window.worklist.model.rows]
        for case in (cases[0], cases[-1], cases[0]):
            clock.time("open a case", lambda case=case: window.open_case(case), case=case)
        desk = window.reading.desk
        assert desk is not None
        clock.time("fly to a contact", lambda: window.reading.fly_to(None, 0))
        clock.time("other side", lambda: window.reading.act("other_side"))
        window.reading.act("other_side")
        correct(clock, window, given.exact_limit)
        whole_measurement(clock, desk, window.reading.side, config)
        napari_alone(clock, desk)
        read_by_keys(clock, window, cases[-1])
        many_cases(clock, window, given.cases)
        window.close()
        application.processEvents()
    given.out.write_text(json.dumps({"load": os.getloadavg(), "rows": clock.rows}, indent=1) + "\n")


def _window(home: Path, config: Config) -> ReviewWindow:
    window = make_window(home, config, "reader")
    window.resize(1900, 1040)
    window.show()
    window.activateWindow()
    window.look_for_results()
    return window


if __name__ == "__main__":
    main()
