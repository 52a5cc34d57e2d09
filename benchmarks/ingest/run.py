"""DICOM to compressed NIfTI against ``dcm2niix -z y``: time and memory, in one run.

Usage::

    python -m benchmarks.ingest.run [--repeats 5] [--rows 512] [--slices 200] [--out report.json]

Both read the same files from a warm cache and write one ``.nii.gz`` a series. Ours is the whole of
the product's reading: limited child processes, the gate, classification. Runs alternate, the median
counts; memory is the peak of the process and its children together, by polling their resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tests.synthetic_dicom import CISS, TOF, make_series, write

OURS = """
import sys
from pathlib import Path
from nvc_pipeline.config import load_config
from nvc_pipeline.dicom.convert import every_volume
from nvc_pipeline.store.nifti import save_nifti
for n, c in enumerate(every_volume(Path(sys.argv[1]), load_config().ingest)):
    if c.volume is not None:
        save_nifti(Path(sys.argv[2]) / f"{n}.nii.gz", c.volume)
"""


def _anatomy(slices: int, rows: int, columns: int, seed: int) -> np.ndarray:
    """Return a head-like image: smooth tissue, noise, air around; int16, 12 bits."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    out = np.empty((slices, rows, columns), np.int16)
    for k in range(slices):
        head = (x**2 / 0.55 + y**2 / 0.75) < 1.0 - 0.2 * abs(2 * k / slices - 1)
        tissue = 600 + 250 * np.sin(9 * x + k / 9) * np.cos(7 * y - k / 13)
        noise = random.normal(0, 25, (rows, columns))
        out[k] = np.clip(np.where(head, tissue + noise, np.abs(noise) * 0.5), 0, 4095)
    return out


def _studies(folder: Path, rows: int, slices: int) -> dict[str, Path]:
    spacing = {"pixel": (0.4, 0.4), "spacing": 0.5}
    one = folder / "series"
    write(make_series(voxels=_anatomy(slices, rows, rows, 1), **spacing), one)
    study = folder / "study"
    parts = [(CISS, slices, rows), (TOF, slices, rows), (TOF, slices // 2, rows // 2), (CISS, 20, rows // 2)]
    for n, (physics, count, side) in enumerate(parts):
        voxels = _anatomy(count, side, side, n)
        write(
            make_series(physics, name=f"s{n}", voxels=voxels, SeriesNumber=n + 1, **spacing), study / str(n)
        )
    return {f"one series, {slices} slices of {rows} x {rows}": one, "a study of four series": study}


def _peak_of(pid: int, stop: threading.Event, out: list[int]) -> None:
    """Sample the resident size of a process tree, without shared pages counted twice (PSS)."""
    while not stop.is_set():
        total = 0
        for each in _tree(pid):
            try:
                text = Path(f"/proc/{each}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
        out[0] = max(out[0], total)
        time.sleep(0.01)


def _tree(pid: int) -> list[int]:
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        try:
            for task in Path(f"/proc/{current}/task").iterdir():
                queue += [int(c) for c in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _measure(command: list[str], watch_memory: bool) -> tuple[float, float, int]:
    """Return wall seconds, processor seconds and peak KiB of a command."""
    before = os.times()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=_peak_of, args=(process.pid, stop, peak))
    if watch_memory:
        watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    stop.set()
    if watch_memory:
        watcher.join()
    after = os.times()
    if code != 0:
        raise SystemExit(f"{command[0]} ended with {code}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, used, peak[0]


def _dcm2niix() -> str:
    """Return the program itself; the wheel's command would start it through Python."""
    try:
        from dcm2niix import bin as found
    except ImportError:
        found = shutil.which("dcm2niix")
    if found is None:
        raise SystemExit("dcm2niix is not installed: pip install dcm2niix")
    return str(found)


def _version(dcm2niix: str) -> str:
    said = subprocess.run([dcm2niix, "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip().splitlines()[-1]


def _compare(source: Path, folder: Path, repeats: int, dcm2niix: str) -> dict[str, object]:
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "dcm2niix": []}
    peaks, sizes = {}, {}
    for round_ in range(repeats + 1):
        for name in times:
            out = folder / f"{name}-{round_}"
            out.mkdir()
            command = {
                "ours": [sys.executable, "-c", OURS, str(source), str(out)],
                "dcm2niix": [dcm2niix, "-z", "y", "-b", "n", "-f", "%s", "-o", str(out), str(source)],
            }[name]
            seconds, used, peak = _measure(command, watch_memory=round_ == 0)
            if round_ == 0:  # the first round warms the cache and watches memory
                peaks[name] = peak / 1024
                sizes[name] = sum(p.stat().st_size for p in out.glob("*.nii.gz")) / 2**20
                continue
            times[name].append((seconds, used))
            shutil.rmtree(out)
    medians = {n: statistics.median(t[0] for t in v) for n, v in times.items()}
    cpu = {n: statistics.median(t[1] for t in v) for n, v in times.items()}
    return {
        "seconds": medians,
        "processor_seconds": cpu,
        "peak_mib": peaks,
        "output_mib": sizes,
        "ours_over_dcm2niix": medians["ours"] / medians["dcm2niix"],
        "ours_over_dcm2niix_processor": cpu["ours"] / cpu["dcm2niix"],
        "repeats": repeats,
    }


def main() -> None:
    """Run the comparison and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    dcm2niix = _dcm2niix()
    report: dict[str, object] = {"cores": len(os.sched_getaffinity(0)), "dcm2niix": _version(dcm2niix)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, (name, source) in enumerate(_studies(folder, options.rows, options.slices).items()):
            work = folder / f"out{number}"
            work.mkdir()
            report[name] = _compare(source, work, options.repeats, dcm2niix)
    text = json.dumps(report, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
