"""Which series is what: by acquisition physics first, the scanner's names second, free text last.

Every decision carries its reason. Where physics leaves two answers and names don't settle it,
the series keeps the role "other" and the reason says that the user is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom import sequences as table
from nvc_pipeline.dicom.features import Features
from nvc_pipeline.dicom.stacks import only_resampled
from nvc_pipeline.domain.anatomy import SequenceRole


@dataclass(frozen=True)
class Verdict:
    """A role, why, and whether names contradict what physics says.

    Parameters
    ----------
    basis:
        ``physics``, ``vendor name``, ``free text`` or ``nothing``.
    disagreement:
        Empty, or the role that a name speaks for against physics.
    open_roles:
        More than one when the user is asked.
    doubt:
        Empty, or what is missing for the role to be sure.
    stand_in:
        For a reformat: the role of the acquisition that it was resampled from.
    """

    role: SequenceRole
    reason: str
    basis: str
    disagreement: str = ""
    open_roles: tuple[SequenceRole, ...] = ()
    doubt: str = ""
    stand_in: SequenceRole | None = None


class _Strength(IntEnum):
    OPEN = 1
    LIKELY = 2
    CLEAR = 3
    SURE = 4


@dataclass(frozen=True)
class _Candidate:
    """A role that the physics allows.

    Parameters
    ----------
    doubt:
        What a confirming name would dispel; a contradicting name then decides.
    """

    role: SequenceRole
    strength: _Strength
    why: str
    doubt: str = ""


def classify(features: Features, config: IngestConfig) -> Verdict:
    """Return the role of a series."""
    for rule in (_not_mr, _not_magnitude):
        if verdict := rule(features):
            return verdict
    if verdict := _derived(features):
        stand_in = _acquired(features, config).role if _only_resampled(features) else None
        return replace(verdict, stand_in=stand_in)
    return _acquired(features, config)


def _acquired(features: Features, config: IngestConfig) -> Verdict:
    """Return the role by how the images were acquired, whatever was made of them since."""
    for rule in (_localizer, _functional, _other_angiography):
        if verdict := rule(features):
            return verdict
    candidates = [c for physics in _PHYSICS for c in physics(features, config)]
    best = max((c.strength for c in candidates), default=None)
    top = {c.role: c for c in reversed(candidates) if c.strength == best}
    named = _by_name(features)
    if len(top) == 1:
        return _with_names(next(iter(top.values())), named, features, config)
    for basis, role, what in named:
        if not top or role in top:
            return _named(basis, role, what, features, config, silent=not top)
    if top:
        roles = " or ".join(sorted(r.value for r in top))
        reason = f"could be {roles} ({features.summary()}); choose with --cisternogram or --tof"
        return Verdict(SequenceRole.OTHER, reason, "nothing", open_roles=tuple(sorted(top)))
    return Verdict(SequenceRole.OTHER, f"no known acquisition ({features.summary()})", "nothing")


_T1 = (SequenceRole.T1, SequenceRole.T1_CONTRAST)
# What a name can't mean when physics says the key. "T2" in the name of a cisternogram is no lie.
_CONTRADICTS = {
    SequenceRole.CISTERNOGRAPHY: (SequenceRole.TOF, *_T1),
    SequenceRole.TOF: (SequenceRole.CISTERNOGRAPHY, SequenceRole.T2),
    SequenceRole.T1: (SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF),
    SequenceRole.T1_CONTRAST: (SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF),
    SequenceRole.T2: (SequenceRole.TOF,),
}
_Names = list[tuple[str, SequenceRole, str]]


def _with_names(candidate: _Candidate, named: _Names, features: Features, config: IngestConfig) -> Verdict:
    """Return what physics says, unless it is in doubt and a name says otherwise."""
    role = candidate.role
    if role is SequenceRole.T1 and any(r is SequenceRole.LOCALIZER for _, r, _ in named):
        reason = f"a fast low-resolution survey by its name ({features.summary()})"
        if (features.in_plane_mm or 9.0) >= 1.2:
            return Verdict(SequenceRole.LOCALIZER, reason, "vendor name")
    if candidate.doubt and named and named[0][1] in (*_CONTRADICTS.get(role, ()), *_T1):
        return _named(*named[0], features, config, silent=False)
    if role is SequenceRole.T1 and named[:1] and named[0][1] is SequenceRole.T1_CONTRAST:
        reason = f"{candidate.why}, with contrast by {named[0][0]} ({features.summary()})"
        return Verdict(SequenceRole.T1_CONTRAST, reason, named[0][0])
    confirmed = any(r is role for _, r, _ in named)
    against = [r.value for _, r, _ in named[:1] if r in _CONTRADICTS.get(role, ())]
    reason = f"{candidate.why} ({features.summary()})"
    doubt = "" if confirmed else candidate.doubt
    return Verdict(role, reason, "physics", against[0] if against else "", doubt=doubt)


def _named(
    basis: str, role: SequenceRole, what: str, features: Features, config: IngestConfig, *, silent: bool
) -> Verdict:
    """Return what a name says; ``silent``: physics says nothing at all."""
    reason = f"{what}, by {basis}; physics leaves it open ({features.summary()})"
    doubt = "only a name says so" if silent else ""
    if role is SequenceRole.CISTERNOGRAPHY and not _fine(features, config):
        return Verdict(SequenceRole.T2, reason + ", too coarse for the cistern", basis)
    if role is SequenceRole.T2 and what != "FLAIR" and _fine_slab(features, config):
        reason = f"T2 by {basis}, and slices as fine as a cisternogram's ({features.summary()})"
        return Verdict(SequenceRole.CISTERNOGRAPHY, reason, basis, doubt="only a name and the slices say so")
    if role is SequenceRole.T1 and features.contrast_agent:
        role = SequenceRole.T1_CONTRAST
    return Verdict(role, reason, basis, doubt=doubt)


def _by_name(features: Features) -> _Names:
    out = []
    for basis, names, rules in (
        ("vendor name", features.vendor_names, table.VENDOR_SEQUENCES),
        ("free text", features.free_text, table.FREE_TEXT),
    ):
        hits = [r for name in names for r in rules if r.pattern.search(name)]
        out += [(basis, r.role, r.what) for r in hits[:1]]
    return out


def _not_mr(features: Features) -> Verdict | None:
    if features.modality in ("MR", ""):
        return None
    return Verdict(SequenceRole.OTHER, f"modality {features.modality}, not MR", "physics")


def _not_magnitude(features: Features) -> Verdict | None:
    if features.component == "M":
        return None
    kind = {"P": "phase", "R": "real", "I": "imaginary"}.get(features.component, "not magnitude")
    return Verdict(SequenceRole.DERIVED, f"{kind} image, not magnitude", "physics")


def _derived(features: Features) -> Verdict | None:
    words = "\\".join(features.image_type)
    if features.derived or features.calculated not in ("", "NONE"):
        return Verdict(SequenceRole.DERIVED, f"computed from other images (ImageType {words})", "physics")
    if features.image_type[:1] == ("DERIVED",) and _called(
        features, table.RESAMPLED_TEXT, table.COMPUTED_TEXT
    ):
        return Verdict(SequenceRole.DERIVED, f"a reformat by ImageType {words} and its name", "free text")
    if not features.image_type and _called(
        features, table.RESAMPLED_TEXT, table.COMPUTED_TEXT, table.PHASE_TEXT
    ):
        reason = "computed or phase images by the name; ImageType is missing"
        return Verdict(SequenceRole.DERIVED, reason, "free text")
    return None


def _called(features: Features, *patterns: re.Pattern[str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in features.free_text)


def _only_resampled(features: Features) -> bool:
    """Still the acquired volume, on another grid; by what ImageType and the names say."""
    computed = features.calculated not in ("", "NONE") or not only_resampled(features.image_type)
    return not computed and not _called(features, table.COMPUTED_TEXT, table.PHASE_TEXT)


def _localizer(features: Features) -> Verdict | None:
    if "LOCALIZER" in features.image_type:
        return Verdict(SequenceRole.LOCALIZER, "ImageType says localizer", "physics")
    if features.orientations > 1:
        reason = f"{features.orientations} plane orientations in one series: a localizer or rotating views"
        return Verdict(SequenceRole.LOCALIZER, reason, "physics")
    return None


def _functional(features: Features) -> Verdict | None:
    if "EP" in features.sequence or "MOSAIC" in features.image_type or features.b_value is not None:
        return Verdict(SequenceRole.OTHER, "echo-planar or diffusion", "physics")
    if any(table.ECHO_PLANAR.search(n) for n in features.vendor_names):
        return Verdict(SequenceRole.OTHER, "echo-planar by its sequence name", "vendor name")
    return None


def _other_angiography(features: Features) -> Verdict | None:
    if features.phase_contrast:
        return Verdict(SequenceRole.OTHER, f"phase-contrast ({features.summary()})", "physics")
    if features.balanced:
        return None
    for basis, names in (("vendor name", features.vendor_names), ("free text", features.free_text)):
        for pattern, what in table.OTHER_ANGIOGRAPHY:
            if any(pattern.search(n) for n in names):
                return Verdict(SequenceRole.OTHER, f"{what} ({features.summary()})", basis)
    return None


def _inside(value: float | None, window: tuple[float, float]) -> bool:
    return value is not None and window[0] <= value <= window[1]


def _fine(features: Features, config: IngestConfig) -> bool:
    """Fine enough for the nerve; unknown geometry counts as fine, the gate judges it."""
    return (features.in_plane_mm or 0.0) <= config.cistern_in_plane_mm and (
        features.slice_mm or 0.0
    ) <= config.cistern_slice_mm


def _whole_head(features: Features) -> bool:
    return (features.coverage_mm or 0.0) > 130.0 and (features.in_plane_mm or 0.0) > 0.65


def _fine_slab(features: Features, config: IngestConfig) -> bool:
    """Known to be as fine as a cisternogram, and no gradient echo."""
    known = features.in_plane_mm is not None and features.slice_mm is not None
    thin = features.three_d is True and _fine(features, config) and not _whole_head(features)
    return known and thin and "GR" not in features.sequence


def _gradient(features: Features) -> bool:
    return "GR" in features.sequence and not features.sequence & {"SE", "EP"}


def _balanced(features: Features, config: IngestConfig) -> list[_Candidate]:
    balanced = (
        _gradient(features)
        and features.three_d is not False
        and features.ti is None
        and _inside(features.tr, table.BSSFP_TR_MS)
        and _inside(features.te_over_tr(), table.BSSFP_TE_OVER_TR)
        and (features.flip is None or features.flip >= table.BSSFP_MIN_FLIP_DEG)
    )
    if not balanced:
        return []
    if not _fine(features, config):
        return [_Candidate(SequenceRole.OTHER, _Strength.CLEAR, "balanced steady state, too coarse")]
    why = "balanced steady state: echo midway between pulses"
    if features.balanced:
        return [_Candidate(SequenceRole.CISTERNOGRAPHY, _Strength.SURE, why)]
    if features.flip is None:
        return [_Candidate(SequenceRole.CISTERNOGRAPHY, _Strength.OPEN, why)]
    doubt = "nothing but TR, TE and flip angle says so"
    if features.flip >= table.BSSFP_SURE_FLIP_DEG:
        doubt = ""
    return [_Candidate(SequenceRole.CISTERNOGRAPHY, _Strength.CLEAR, why, doubt)]


def _time_of_flight(features: Features, config: IngestConfig) -> list[_Candidate]:
    ratio = features.te_over_tr()
    plain = (
        _gradient(features)
        and features.ti is None
        and _inside(features.tr, table.TOF_TR_MS)
        and _inside(features.te, table.TOF_TE_MS)
        and (features.flip is None or _inside(features.flip, table.TOF_FLIP_DEG))
        and ratio is not None
        and ratio <= table.TOF_MAX_TE_OVER_TR
    )
    fine = (features.in_plane_mm or 0.0) <= config.tof_in_plane_mm and (
        features.slice_mm or 0.0
    ) <= config.tof_slice_mm
    if not plain or not fine:
        return []
    flow = features.angio or bool(features.options & table.FLOW_OPTIONS)
    if (flow or "MTC" in features.variant) and features.three_d is not False:
        why = "short repetition, flow-weighted" if features.angio else "short repetition, flow-compensated"
        strength = _Strength.SURE if features.angio else _Strength.CLEAR
        return [_Candidate(SequenceRole.TOF, strength, why)]
    doubt = "the header has no mark of angiography or flow compensation"
    strength = _Strength.LIKELY if _tof_slab(features) else _Strength.OPEN
    return [_Candidate(SequenceRole.TOF, strength, "short repetition, small flip angle", doubt)]


def _tof_slab(features: Features) -> bool:
    least_tr, in_plane, across, coverage = table.TOF_SLAB
    known = features.flip is not None and features.in_plane_mm is not None and features.slice_mm is not None
    return (
        known
        and not features.contrast_agent
        and features.three_d is True
        and (features.tr or 0.0) >= least_tr
        and (features.in_plane_mm or 9.0) <= in_plane
        and (features.slice_mm or 9.0) <= across
        and (features.coverage_mm or 999.0) <= coverage
    )


def _t1(features: Features, config: IngestConfig) -> list[_Candidate]:
    role = SequenceRole.T1_CONTRAST if features.contrast_agent else SequenceRole.T1
    if _gradient(features) and features.ti is not None and (features.te or 99.0) < 10:
        return [_Candidate(role, _Strength.CLEAR, "inversion-prepared gradient echo")]
    short = (features.tr or 1e9) <= 50 and (features.te or 1e9) <= 10 and (features.flip or 0.0) <= 40
    if _gradient(features) and short and not features.angio:
        # Balanced TE/TR with a small flip angle is a spoiled T1 sequence, not a cisternogram.
        return [_Candidate(role, _Strength.OPEN, "spoiled gradient echo")]
    spin = "SE" in features.sequence and features.ti is None
    if spin and (features.tr or 1e9) <= table.T1_SE_MAX[0] and (features.te or 1e9) <= table.T1_SE_MAX[1]:
        return [_Candidate(role, _Strength.CLEAR, "short repetition and echo")]
    return []


def _t2(features: Features, config: IngestConfig) -> list[_Candidate]:
    spin = bool(features.sequence & {"SE", "RM"}) and "GR" not in features.sequence
    if not spin or (features.te or 0.0) < table.T2_MIN_TE_MS:
        return []
    if features.ti is not None:
        return [_Candidate(SequenceRole.T2, _Strength.CLEAR, "inversion recovery with long echo: FLAIR")]
    heavy = (features.te or 0.0) >= table.TSE_CISTERN_MIN_TE_MS and features.three_d is True
    if heavy and _fine(features, config) and not _whole_head(features):
        why = "fine 3D turbo spin echo with a long echo"
        return [_Candidate(SequenceRole.CISTERNOGRAPHY, _Strength.CLEAR, why)]
    return [_Candidate(SequenceRole.T2, _Strength.CLEAR, "long echo")]


_PHYSICS: tuple[Callable[[Features, IngestConfig], list[_Candidate]], ...] = (
    _balanced,
    _time_of_flight,
    _t1,
    _t2,
)
