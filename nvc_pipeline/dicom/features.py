"""What a series is judged by: numbers and code words of one stack, without free text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nvc_pipeline.dicom.gate import CheckedStack
from nvc_pipeline.dicom.stacks import Series, Stack


@dataclass(frozen=True)
class Features:
    """The acquisition of one stack; None where the header is silent. Times in ms, lengths in mm."""

    modality: str
    tr: float | None
    te: float | None
    flip: float | None
    ti: float | None
    echo_train: float | None
    sequence: frozenset[str]
    variant: frozenset[str]
    options: frozenset[str]
    image_type: tuple[str, ...]
    three_d: bool | None
    angio: bool
    balanced: bool
    contrast_agent: bool
    component: str
    b_value: float | None
    derived: bool
    calculated: str
    orientations: int
    planes: int
    in_plane_mm: float | None
    slice_mm: float | None
    coverage_mm: float | None
    vendor_names: tuple[str, ...]
    free_text: tuple[str, ...]

    def te_over_tr(self) -> float | None:
        """Return where between two pulses the echo is read."""
        return self.te / self.tr if self.te and self.tr else None

    def summary(self) -> str:
        """Return the physics as one phrase for a reason."""
        kind = {True: "3D ", False: "2D ", None: ""}[self.three_d]
        parts = [f"{kind}{'/'.join(sorted(self.sequence)) or 'sequence not stated'}"]
        if self.tr is not None:
            parts.append(f"TR {self.tr:.4g} ms")
        if self.te is not None:
            parts.append(f"TE {self.te:.4g} ms")
        if self.flip is not None:
            parts.append(f"flip {self.flip:.4g} deg")
        if self.in_plane_mm is not None and self.slice_mm is not None:
            parts.append(f"{self.in_plane_mm:.2f} mm in plane, {self.slice_mm:.2f} mm across")
        return ", ".join(parts)


def features_of(series: Series, stack: Stack, checked: CheckedStack) -> Features:
    """Collect the features of the stack that speaks for a series."""
    physics = stack.planes[0].instance.physics
    frame = stack.planes[0].frame
    spacing = checked.layout.affine.spacing_mm if checked.layout else None
    sequence = _sequence(physics)
    names = stack.planes[0].instance.names
    number = physics.get
    steady = str(physics.get("SteadyStatePulseSequence", ""))
    return Features(
        modality=series.first.modality,
        tr=_float(number("RepetitionTime")),
        te=frame.echo_time if frame.echo_time is not None else _float(number("EchoTime")),
        flip=_float(number("FlipAngle")),
        ti=_float(number("InversionTime")) or None,
        echo_train=_float(number("EchoTrainLength")),
        sequence=sequence,
        variant=frozenset(physics.get("SequenceVariant", ())),
        options=frozenset(physics.get("ScanOptions", ())),
        image_type=frame.image_type,
        three_d={"3D": True, "2D": False}.get(str(physics.get("MRAcquisitionType", ""))),
        angio=physics.get("AngioFlag") == "Y" or physics.get("TimeOfFlightContrast") in ("YES", "Y"),
        balanced=steady == "FREE_PRECESSION" or "SS" in physics.get("SequenceVariant", ()),
        contrast_agent=bool(physics.get("ContrastAgent")),
        component=stack.component,
        b_value=frame.b_value,
        derived=stack.derived,
        calculated=str(physics.get("VolumeBasedCalculationTechnique", "")),
        orientations=_orientations(stack),
        planes=len(stack.planes),
        in_plane_mm=_in_plane(stack, spacing),
        slice_mm=_slice_mm(stack, spacing),
        coverage_mm=float(spacing[2]) * len(stack.planes) if spacing is not None else None,
        vendor_names=tuple(v for k, v in names.items() if k not in ("SeriesDescription", "ProtocolName")),
        free_text=tuple(names[k] for k in ("SeriesDescription", "ProtocolName") if k in names),
    )


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _sequence(physics: object) -> frozenset[str]:
    """ScanningSequence, or what enhanced objects say in its place."""
    if not hasattr(physics, "get"):
        return frozenset()
    words = set(physics.get("ScanningSequence", ()))
    echo = physics.get("EchoPulseSequence", "")
    if not words and echo:
        words = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(str(echo), set())
    return frozenset(words)


def _orientations(stack: Stack) -> int:
    """Number of clearly different plane normals; a stray slice among many does not count.

    One slice turned by mistake is the gate's to refuse; three planes of a survey are several.
    """
    normals: list[np.ndarray] = []
    members: list[int] = []
    for plane in stack.planes:
        cosines = np.asarray(plane.frame.orientation or (0.0,) * 6)
        normal = np.cross(cosines[:3], cosines[3:])
        if not np.linalg.norm(normal) > 0.5:
            continue
        same = [n for n, other in enumerate(normals) if abs(float(other @ normal)) > 0.95]
        if same:
            members[same[0]] += 1
        else:
            normals.append(normal)
            members.append(1)
        if len(normals) > 8:
            break
    strays = sum(members) - max(members, default=0)
    return len(normals) if strays >= 0.2 * sum(members) else min(len(normals), 1)


def _slice_mm(stack: Stack, spacing: np.ndarray | None) -> float | None:
    """Thickness or distance, the smaller: lost slices must not hide what a series was meant to be."""
    known = [stack.planes[0].frame.thickness, float(spacing[2]) if spacing is not None else None]
    sizes = [v for v in known if v is not None and v > 0]
    return min(sizes, default=None)


def _in_plane(stack: Stack, spacing: np.ndarray | None) -> float | None:
    if spacing is not None:
        return float(max(spacing[0], spacing[1]))
    pixel = stack.planes[0].frame.pixel_spacing
    if pixel is None or not 0.01 < max(pixel) < 50.0:
        return None
    return float(max(pixel))
