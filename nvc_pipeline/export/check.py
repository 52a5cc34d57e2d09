"""The last look at an object before it leaves: everything still lies where, and on the side, it did.

Deliberately naive and deliberately not highdicom: the frames are placed from the file's own
ImagePositionPatient, ImageOrientationPatient and PixelSpacing, voxel by voxel, and compared
with the places that the label map's affine gives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.export.codes import LATERALITY, structure_and_side
from nvc_pipeline.geometry import Affine, FloatArray

_TOLERANCE_MM = 0.1
# Structures that never cross the midline; an artery may.
_SIDED = (Structure.FACIAL_NERVE, Structure.VESTIBULOCOCHLEAR_NERVE)


def check_segmentation(
    dataset: Dataset, segments: Mapping[str, npt.NDArray[np.generic]], affine: Affine
) -> None:
    """Compare a SEG with what it was made from.

    Parameters
    ----------
    segments:
        Name to weights (I, J, K) on the grid of ``affine`` (IJK to LPS mm), in segment order.

    Raises
    ------
    InternalFault
        ``export.flipped``: a centroid is off by more than 0.1 mm, a weight is lost, a laterality
        code is wrong, or left and right lie the wrong way round.
    """
    found = decoded_centroids(dataset)
    centres: dict[tuple[Structure, Side], float] = {}
    for number, (name, weights) in enumerate(segments.items(), start=1):
        _, structure, side = structure_and_side(name)
        want, mass = _centroid(weights, affine)
        have, have_mass = found.get(number, (np.full(3, np.nan), 0.0))
        if not np.all(np.abs(have - want) <= _TOLERANCE_MM) or abs(have_mass - mass) > 1e-6 * mass:
            raise flipped(f"segment {number} does not lie where it was measured")
        if _coded_side(dataset.SegmentSequence[number - 1]) is not side:
            raise flipped(f"segment {number} carries the wrong side")
        if structure in _SIDED and side is not None and structure is not None:
            centres[structure, side] = float(have[0])
    for structure in _SIDED:
        left, right = centres.get((structure, Side.LEFT)), centres.get((structure, Side.RIGHT))
        if left is not None and right is not None and left <= right:
            raise flipped("left and right lie the wrong way round")


def flipped(what: str) -> InternalFault:
    """Return the error for an object that does not say what was measured."""
    return InternalFault(
        "export.flipped",
        f"An object was not written: {what}",
        remedy="report this as a fault of the software; the measurements themselves are not affected",
    )


def decoded_centroids(dataset: Dataset) -> dict[int, tuple[FloatArray, float]]:
    """Return each segment's centroid (LPS mm) and total weight, from the file's own attributes."""
    frames = _frames(dataset)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    sums: dict[int, FloatArray] = {}
    for pixels, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        orientation = _first(group, shared, "PlaneOrientationSequence").ImageOrientationPatient
        position = _first(group, shared, "PlanePositionSequence").ImagePositionPatient
        spacing = _first(group, shared, "PixelMeasuresSequence").PixelSpacing
        along_columns, along_rows = np.asarray(orientation[:3], float), np.asarray(orientation[3:], float)
        rows, columns = np.nonzero(pixels)
        if not len(rows):
            continue
        weights = pixels[rows, columns].astype(float)
        places = (
            np.asarray(position, float)
            + columns[:, None] * float(spacing[1]) * along_columns
            + rows[:, None] * float(spacing[0]) * along_rows
        )
        total = np.append(weights @ places, weights.sum())
        sums[number] = sums.get(number, np.zeros(4)) + total
    return {number: (total[:3] / total[3], float(total[3])) for number, total in sums.items()}


def _first(group: Dataset, shared: Dataset, keyword: str) -> Dataset:
    holder = group if keyword in group else shared
    item: Dataset = holder[keyword].value[0]
    return item


def _frames(dataset: Dataset) -> npt.NDArray[np.uint8]:
    count, rows, columns = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    raw = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    if int(dataset.BitsAllocated) == 1:
        # PS3.5 8.1.1: bits are packed across frame borders, the lowest bit first.
        raw = np.unpackbits(raw, bitorder="little")
    return raw[: count * rows * columns].reshape(count, rows, columns)


def _centroid(weights: npt.NDArray[np.generic], affine: Affine) -> tuple[FloatArray, float]:
    where = np.argwhere(weights)
    values = weights[tuple(where.T)].astype(float)
    return affine.apply((values @ where) / values.sum()), float(values.sum())


def _coded_side(segment: Dataset) -> Side | None:
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    for item in kind.get("SegmentedPropertyTypeModifierCodeSequence", []):
        for side, code in LATERALITY.items():
            if (item.CodeValue, item.CodingSchemeDesignator) == (code.value, code.scheme_designator):
                return side
    return None


def check_report(dataset: Dataset, case: CaseReport) -> None:
    """Compare a structured report with the case: each contact's points, value and side.

    Raises
    ------
    InternalFault
        ``export.flipped``.
    """
    found = _groups(dataset)
    wanted = [
        (side, float(contact.gap_mm.value), contact)
        for side in Side
        for contact in case.sides.of(side).contacts
        if contact.gap_mm.value is not None
    ]
    if len(found) != len(wanted):
        raise flipped("a contact is missing from the structured report")
    for (side, value, contact), (have_side, have_value, have_points) in zip(wanted, found, strict=True):
        points = np.array([contact.nearest_on_nerve_lps_mm, contact.nearest_on_vessel_lps_mm])
        same = have_side is side and abs(have_value - value) < 1e-3
        if not same or not _near(have_points, points):
            raise flipped("a contact's points, value or side differ in the structured report")


def _near(have: FloatArray, want: FloatArray) -> bool:
    want = want if len(have) == len(want) else want[: len(have)]
    return have.shape == want.shape and bool(np.abs(have - want).max() <= _TOLERANCE_MM)


def _groups(dataset: Dataset) -> list[tuple[Side | None, float, FloatArray]]:
    """Return side, gap and points of each measurement group, read from the content tree."""
    out: list[tuple[Side | None, float, FloatArray]] = []
    for container in _items(dataset, "126010"):
        for group in _items(container, "125007"):
            side: Side | None = None
            for site in _items(group, "363698007"):
                for item in _items(site, "272741003"):
                    code = item.ConceptCodeSequence[0].CodeValue
                    side = next((s for s, c in LATERALITY.items() if c.value == code), None)
            for gap in _items(group, "121206"):
                points = [np.asarray(i.GraphicData, float).reshape(-1, 3) for i in gap.ContentSequence]
                number = float(gap.MeasuredValueSequence[0].NumericValue)
                out.append((side, number, points[0] if points else np.zeros((0, 3))))
    return out


def _items(parent: Dataset, code: str) -> list[Dataset]:
    return [
        item
        for item in parent.get("ContentSequence", [])
        if "ConceptNameCodeSequence" in item and item.ConceptNameCodeSequence[0].CodeValue == code
    ]
