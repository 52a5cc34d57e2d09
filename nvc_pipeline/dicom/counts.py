"""How many instances the archive holds of each series: a side file beside the images.

DICOM files seldom say how many belong to their series; the archive that sends them does
(NumberOfSeriesRelatedInstances). Whoever fetches a study writes ``nvc-counts.json`` into its folder:
``{"series": {"1.2.840...": 176}}``. A series with fewer is then refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from nvc_pipeline.dicom.findings import warn
from nvc_pipeline.domain.case import Finding

COUNTS_FILE = "nvc-counts.json"
_MAX_BYTES = 4 << 20
_MAX_COUNT = 10_000_000


def read_counts(path: Path | None) -> tuple[dict[str, int], list[Finding]]:
    """Return instances by series UID; a file that says something else is left aside by name."""
    if path is None:
        return {}, []
    try:
        data = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b""
        series = json.loads(data)["series"]
        counts = {uid: number for uid, number in series.items() if _sound(number)}
        if len(counts) == len(series):
            return counts, []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    message = f"{COUNTS_FILE} does not hold counts by series and was left aside"
    return {}, [warn("counts_unreadable", message)]


def _sound(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _MAX_COUNT


def missing_series(expected: Mapping[str, int], there: Iterable[str]) -> list[Finding]:
    """Tell of series that the archive holds and that did not arrive at all."""
    lost = set(expected) - set(there)
    if not lost:
        return []
    message = f"The archive holds more series of this study than are here: {len(lost)} did not arrive"
    return [warn("series_missing", message)]
