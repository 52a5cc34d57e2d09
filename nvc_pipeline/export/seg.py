"""DICOM Segmentation: one segment a structure and side, in the cisternogram's frame of reference.

highdicom encodes. Before an object leaves, it is decoded again by other code than wrote it, and
every segment's place and side are compared with the labels (:mod:`nvc_pipeline.export.check`);
an object that fails is refused, not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.domain.case import CaseReport
from nvc_pipeline.domain.source import SourceReference
from nvc_pipeline.export.check import check_segmentation
from nvc_pipeline.export.codes import ANATOMICAL_STRUCTURE, LATERALITY, structure_and_side
from nvc_pipeline.export.dicom_object import (
    MANUFACTURER,
    MODEL_NAME,
    RESEARCH_LABEL,
    RESEARCH_USE,
    SERIAL,
    settle,
    source_headers,
    write_references,
)
from nvc_pipeline.geometry import Affine, LabelVolume, Volume
from nvc_pipeline.store.identity import content_uid
from nvc_pipeline.store.provenance import sha256_bytes

Kind = Literal["BINARY", "FRACTIONAL"]
_MAX_FRACTION = 255
# CIELab of the nerve, brainstem, arteries and veins as they are usually painted.
_COLOURS = {
    "facial_nerve": (93.0, -2.0, 60.0),
    "vestibulocochlear_nerve": (75.0, 20.0, 60.0),
    "brainstem": (80.0, 5.0, 15.0),
    "vein": (45.0, 15.0, -50.0),
}
_ARTERY_COLOUR = (50.0, 65.0, 45.0)


def segmentation_object(labels: LabelVolume, source: SourceReference, case: CaseReport) -> Dataset | None:
    """Return a binary SEG of a label map, None where no voxel is labelled.

    Parameters
    ----------
    labels:
        On the cisternogram's grid; names as in the label table (``facial_nerve_left``, ``BA``).

    Raises
    ------
    InternalFault
        ``export.flipped`` if the object does not decode to the labels' places and sides.
    """
    present = set(np.unique(labels.array).tolist())
    names = [name for index, name in sorted(labels.names.items()) if index in present]
    masks = {name: labels.mask(name) for name in names}
    return _build(masks, labels, source, case, "BINARY")


def probability_object(
    fractions: Mapping[str, Volume], source: SourceReference, case: CaseReport
) -> Dataset | None:
    """Return a fractional SEG (probability, 0 to 255) of volumes that share the cisternogram's grid.

    Raises
    ------
    ValueError
        If the volumes don't share one grid.
    InternalFault
        ``export.flipped`` as for :func:`segmentation_object`.
    """
    steps: dict[str, npt.NDArray[np.uint8]] = {}
    for name in sorted(fractions):
        values = np.rint(np.clip(fractions[name].array, 0.0, 1.0) * _MAX_FRACTION).astype(np.uint8)
        if values.any():
            steps[name] = values
    if not steps:
        return None
    first = fractions[next(iter(steps))]
    if not all(fractions[name].same_grid(first) for name in steps):
        msg = "the volumes of one segmentation share one grid"
        raise ValueError(msg)
    return _build(steps, first, source, case, "FRACTIONAL")


def _build(
    segments: Mapping[str, npt.NDArray[np.generic]],
    grid: Volume,
    source: SourceReference,
    case: CaseReport,
    kind: Kind,
) -> Dataset | None:
    if not segments:
        return None
    names = list(segments)
    # DICOM order: frames, rows, columns, then segments.
    stack = np.stack([np.ascontiguousarray(segments[n].transpose(2, 1, 0)) for n in names], axis=-1)
    content = sha256_bytes(np.packbits(stack).tobytes() if kind == "BINARY" else stack.tobytes())
    identity = (source.series_instance_uid, kind, case.case_id, content, case.software.version)
    dataset: Dataset = hd.seg.Segmentation(
        source_images=source_headers(source, grid.affine, grid.shape),
        pixel_array=_volume(stack, grid.affine, source.frame_of_reference_uid, kind),
        segmentation_type=kind,
        segment_descriptions=[_describe(n, name, case) for n, name in enumerate(names, start=1)],
        series_instance_uid=content_uid("seg series", *identity),
        series_number=901 if kind == "BINARY" else 902,
        sop_instance_uid=content_uid("seg", *identity),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=case.software.version,
        device_serial_number=SERIAL,
        max_fractional_value=_MAX_FRACTION,
        content_label=RESEARCH_LABEL,
        content_description=RESEARCH_USE,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=f"RESEARCH USE ONLY - NVC {kind.lower()} segmentation",
    )
    for item, name in zip(dataset.SegmentSequence, names, strict=True):
        _, _, side = structure_and_side(name)
        if side is not None:
            modifier = hd.sr.CodedConcept.from_code(LATERALITY[side])
            item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    write_references(dataset, source, grid.shape[2])
    settle(dataset, source)
    check_segmentation(dataset, segments, grid.affine)
    return dataset


def _volume(stack: npt.NDArray[np.generic], affine: Affine, frame: str, kind: Kind) -> hd.Volume:
    columns_last = np.array(affine.matrix)[:, [2, 1, 0, 3]]
    array = stack.astype(np.float32) / _MAX_FRACTION if kind == "FRACTIONAL" else stack.astype(np.uint8)
    return hd.Volume(
        array,
        columns_last,
        coordinate_system="PATIENT",
        frame_of_reference_uid=frame,
        channels={"SegmentNumber": list(range(1, stack.shape[-1] + 1))},
    )


def _describe(number: int, name: str, case: CaseReport) -> hd.seg.SegmentDescription:
    code, structure, side = structure_and_side(name)
    model = case.software.model
    algorithm = hd.AlgorithmIdentificationSequence(
        name="nvc_pipeline",
        family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        version=case.software.version if model is None else f"{case.software.version} {model.version}",
    )
    colour = _COLOURS.get(structure.value if structure else "", _ARTERY_COLOUR)
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=_label(name, side),
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=code,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        tracking_uid=content_uid("segment", case.case_id, name),
        tracking_id=name,
        display_color=hd.color.CIELabColor(*colour),
    )


def _label(name: str, side: Side | None) -> str:
    base = name if side is None else name.removesuffix(f"_{side.value}")
    return base.replace("_", " ") if side is None else f"{side.value} {base.replace('_', ' ')}"
