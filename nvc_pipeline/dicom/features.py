"""What a series is judged by: numbers and code words of one stack, without free text.

Headers often lack words that the numbers imply. A repetition of 7 ms is a gradient echo whether
ScanningSequence says so or not; slices of 0.5 mm side by side are a 3D acquisition. What is read from
numbers so is marked as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    phase_contrast: bool = False
    read_from_numbers: tuple[str, ...] = ()

    def te_over_tr(self) -> float | None:
        """Return where between two pulses the echo is read."""
        return self.te / self.tr if self.te and self.tr else None

    def summary(self) -> str:
        """Return the physics as one phrase for a reason."""
        kind = {True: "3D ", False: "2D ", None: ""}[self.three_d]
        word = "/".join(sorted(self.sequence)) or "sequence not stated"
        parts = [f"{kind}{word}"]
        if self.tr is not None:
            parts.append(f"TR {self.tr:.4g} ms")
        if self.te is not None:
            parts.append(f"TE {self.te:.4g} ms")
        if self.flip is not None:
            parts.append(f"flip {self.flip:.4g} deg")
        if self.in_plane_mm is not None and self.slice_mm is not None:
            parts.append(f"{self.in_plane_mm:.2f} mm in plane, {self.slice_mm:.2f} mm across")
        unsaid = " and ".join(self.read_from_numbers)
        return ", ".join(parts) + (f"; {unsaid} read from these, not stated" if unsaid else "")


def features_of(series: Series, stack: Stack, checked: CheckedStack) -> Features:
    """Collect the features of the stack that speaks for a series."""
    physics = stack.planes[0].instance.physics
    frame = stack.planes[0].frame
    spacing = checked.layout.affine.spacing_mm if checked.layout else None
    names = stack.planes[0].instance.names
    number = physics.get
    tr, ti = _float(number("RepetitionTime")) or None, _float(number("InversionTime")) or None
    te = (frame.echo_time if frame.echo_time is not None else _float(number("EchoTime"))) or None
    flip = _float(number("FlipAngle")) or None
    slice_mm = _slice_mm(stack, spacing)
    sequence = _sequence(physics)
    three_d = {"3D": True, "2D": False}.get(str(physics.get("MRAcquisitionType", "")))
    told = ["dimension"] if three_d is None else []
    told = told if sequence else ["sequence", *told]
    sequence = sequence or sequence_by_numbers(tr, te, ti, flip)
    three_d = three_d if three_d is not None else _thin(slice_mm, len(stack.planes))
    told = [w for w in told if (sequence if w == "sequence" else three_d is not None)]
    contrast = physics.get("AcquisitionContrast", "")
    return Features(
        modality=series.first.modality,
        tr=tr,
        te=te,
        flip=flip,
        ti=ti,
        echo_train=_float(number("EchoTrainLength")),
        sequence=sequence,
        variant=frozenset(physics.get("SequenceVariant", ())),
        options=frozenset(physics.get("ScanOptions", ())),
        image_type=frame.image_type,
        three_d=three_d,
        angio=_angio(physics),
        balanced=physics.get("SteadyStatePulseSequence") == "FREE_PRECESSION"
        or "SS" in physics.get("SequenceVariant", ()),
        contrast_agent=bool(physics.get("ContrastAgent")),
        component=stack.component,
        b_value=frame.b_value,
        derived=stack.derived,
        calculated=str(physics.get("VolumeBasedCalculationTechnique", "")),
        orientations=_orientations(stack),
        planes=len(stack.planes),
        in_plane_mm=_in_plane(stack, spacing),
        slice_mm=slice_mm,
        coverage_mm=float(spacing[2]) * len(stack.planes) if spacing is not None else None,
        vendor_names=tuple(v for k, v in names.items() if k not in ("SeriesDescription", "ProtocolName")),
        free_text=tuple(names[k] for k in ("SeriesDescription", "ProtocolName") if k in names),
        phase_contrast=physics.get("PhaseContrast") == "YES" or contrast == "FLOW_ENCODED",
        read_from_numbers=tuple(told),
    )


def _angio(physics: Mapping[str, Any]) -> bool:
    return (
        physics.get("AngioFlag") == "Y"
        or physics.get("TimeOfFlightContrast") in ("YES", "Y")
        or physics.get("AcquisitionContrast") == "TOF"
    )


def sequence_by_numbers(
    tr: float | None, te: float | None, ti: float | None, flip: float | None
) -> frozenset[str]:
    """Return GR or SE where TR, TE, inversion and flip angle leave no other, else nothing.

    A spin echo needs a 180 degree pulse and time to recover: it is not repeated every 80 ms. A long
    echo after a long repetition is a spin echo, since a gradient echo has lost its signal by then.
    """
    if tr is None:
        return frozenset()
    if tr <= _GRADIENT_MAX_TR_MS or (ti is not None and te is not None and te < 10.0):
        return frozenset({"GR"})
    if tr >= _SPIN_MIN_TR_MS and te is not None and te >= _SPIN_MIN_TE_MS:
        return frozenset({"SE"})
    if tr >= _SPIN_MIN_TR_MS and te is not None and (flip or 90.0) >= 85.0 and ti is None:
        return frozenset({"SE"})
    return frozenset()


_GRADIENT_MAX_TR_MS = 80.0
_SPIN_MIN_TR_MS = 300.0
_SPIN_MIN_TE_MS = 60.0
# Thinner than any usual 2D slice, and many of them.
_THIN_MM, _THIN_COUNT, _THICK_MM = 1.5, 16, 2.9


def _thin(slice_mm: float | None, planes: int) -> bool | None:
    """Tell 3D from 2D by the slices; None where they could be either."""
    if slice_mm is None:
        return None
    if slice_mm <= _THIN_MM and planes >= _THIN_COUNT:
        return True
    return False if slice_mm >= _THICK_MM else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def _sequence(physics: Mapping[str, Any]) -> frozenset[str]:
    """ScanningSequence, or what enhanced objects say in its place."""
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
