"""Which series is what: by acquisition physics first, the scanner's names second, free text last.

Every decision carries its reason. Where physics leaves two answers and names don't settle it,
the series keeps the role "other" and the reason says that the user is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nvc_pipeline.config.ingest import IngestConfig
from nvc_pipeline.dicom import sequences as table
from nvc_pipeline.dicom.features import Features
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
    """

    role: SequenceRole
    reason: str
    basis: str
    disagreement: str = ""
    open_roles: tuple[SequenceRole, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    role: SequenceRole
    strength: int
    why: str


def classify(features: Features, config: IngestConfig) -> Verdict:
    """Return the role of a series."""
    for rule in (_not_mr, _derived, _localizer, _functional):
        if verdict := rule(features):
            return verdict
    candidates = [c for rule in _PHYSICS for c in rule(features, config)]
    best = max((c.strength for c in candidates), default=0)
    top = {c.role: c for c in reversed(candidates) if c.strength == best}
    named = _by_name(features)
    if len(top) == 1:
        ((role, candidate),) = top.items()
        return _with_names(role, candidate, named, features)
    allowed = tuple(top) if top else None
    for basis, role, what in named:
        if allowed is None or role in allowed:
            reason = f"{what}, by {basis}; physics leaves it open ({features.summary()})"
            return Verdict(_refined(role, features, config), reason, basis)
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


def _with_names(
    role: SequenceRole, candidate: _Candidate, named: list[tuple[str, SequenceRole, str]], features: Features
) -> Verdict:
    if role is SequenceRole.T1 and any(r is SequenceRole.LOCALIZER for _, r, _ in named):
        reason = f"a fast low-resolution survey by its name ({features.summary()})"
        if (features.in_plane_mm or 9.0) >= 1.2:
            return Verdict(SequenceRole.LOCALIZER, reason, "vendor name")
    against = [r.value for _, r, _ in named[:1] if r in _CONTRADICTS.get(role, ())]
    reason = f"{candidate.why} ({features.summary()})"
    return Verdict(role, reason, "physics", against[0] if against else "")


def _refined(role: SequenceRole, features: Features, config: IngestConfig) -> SequenceRole:
    """A name alone can't make a coarse series a cisternogram."""
    if role is SequenceRole.CISTERNOGRAPHY and not _fine(features, config):
        return SequenceRole.T2
    if role is SequenceRole.T1 and features.contrast_agent:
        return SequenceRole.T1_CONTRAST
    return role


def _by_name(features: Features) -> list[tuple[str, SequenceRole, str]]:
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


def _derived(features: Features) -> Verdict | None:
    if features.component != "M":
        kind = {"P": "phase", "R": "real", "I": "imaginary"}.get(features.component, "not magnitude")
        return Verdict(SequenceRole.DERIVED, f"{kind} image, not magnitude", "physics")
    words = "\\".join(features.image_type)
    if features.derived or features.calculated not in ("", "NONE"):
        return Verdict(SequenceRole.DERIVED, f"computed from other images (ImageType {words})", "physics")
    if features.image_type[:1] == ("DERIVED",) and any(
        table.DERIVED_TEXT.search(t) for t in features.free_text
    ):
        return Verdict(SequenceRole.DERIVED, f"a reformat by ImageType {words} and its name", "free text")
    return None


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
    if any(table.VENDOR_SEQUENCES[-3].pattern.search(n) for n in features.vendor_names):
        return Verdict(SequenceRole.OTHER, "echo-planar by its sequence name", "vendor name")
    return None


def _inside(value: float | None, window: tuple[float, float]) -> bool:
    return value is not None and window[0] <= value <= window[1]


def _fine(features: Features, config: IngestConfig) -> bool:
    """Fine enough for the nerve; unknown geometry counts as fine, the gate judges it."""
    return (features.in_plane_mm or 0.0) <= config.cistern_in_plane_mm and (
        features.slice_mm or 0.0
    ) <= config.cistern_slice_mm


def _gradient(features: Features) -> bool:
    return "GR" in features.sequence and not features.sequence & {"SE", "EP"}


def _balanced(features: Features, config: IngestConfig) -> list[_Candidate]:
    balanced = (
        _gradient(features)
        and features.three_d is not False
        and features.ti is None
        and _inside(features.tr, table.BSSFP_TR_MS)
        and _inside(features.te_over_tr(), table.BSSFP_TE_OVER_TR)
        and (features.flip or 0.0) >= table.BSSFP_MIN_FLIP_DEG
    )
    if not balanced:
        return []
    if not _fine(features, config):
        return [_Candidate(SequenceRole.OTHER, 2, "balanced steady state, too coarse for the cistern")]
    strength = 3 if features.balanced else 2
    return [
        _Candidate(SequenceRole.CISTERNOGRAPHY, strength, "balanced steady state: echo midway between pulses")
    ]


def _time_of_flight(features: Features, config: IngestConfig) -> list[_Candidate]:
    ratio = features.te_over_tr()
    plain = (
        _gradient(features)
        and features.ti is None
        and _inside(features.tr, table.TOF_TR_MS)
        and _inside(features.te, table.TOF_TE_MS)
        and _inside(features.flip, table.TOF_FLIP_DEG)
        and ratio is not None
        and ratio <= table.TOF_MAX_TE_OVER_TR
    )
    if not plain:
        return []
    fine = (features.in_plane_mm or 0.0) <= config.tof_in_plane_mm and (
        features.slice_mm or 0.0
    ) <= config.tof_slice_mm
    if not fine:
        return []
    flow = features.angio or bool(features.options & {"FC", "FLOW_COMP", "FC_SLICE_AX_GEMS"})
    if (flow or "MTC" in features.variant) and features.three_d is not False:
        why = "short repetition, flow-weighted" if features.angio else "short repetition, flow-compensated"
        return [_Candidate(SequenceRole.TOF, 3 if features.angio else 2, why)]
    return [_Candidate(SequenceRole.TOF, 1, "short repetition, small flip angle")]


def _t1(features: Features, config: IngestConfig) -> list[_Candidate]:
    role = SequenceRole.T1_CONTRAST if features.contrast_agent else SequenceRole.T1
    if _gradient(features) and features.ti is not None and (features.te or 99.0) < 10:
        return [_Candidate(role, 2, "inversion-prepared gradient echo")]
    short = (features.tr or 1e9) <= 50 and (features.te or 1e9) <= 10 and (features.flip or 90) <= 40
    if _gradient(features) and short and not features.angio:
        # Balanced TE/TR with a small flip angle is a spoiled T1 sequence, not a cisternogram.
        return [_Candidate(role, 1, "spoiled gradient echo")]
    spin = "SE" in features.sequence and features.ti is None
    if spin and (features.tr or 1e9) <= table.T1_SE_MAX[0] and (features.te or 1e9) <= table.T1_SE_MAX[1]:
        return [_Candidate(role, 2, "short repetition and echo")]
    return []


def _t2(features: Features, config: IngestConfig) -> list[_Candidate]:
    spin = bool(features.sequence & {"SE", "RM"}) and "GR" not in features.sequence
    if not spin or (features.te or 0.0) < table.T2_MIN_TE_MS:
        return []
    if features.ti is not None:
        return [_Candidate(SequenceRole.T2, 2, "inversion recovery with long echo: FLAIR")]
    whole_head = (features.coverage_mm or 0.0) > 130.0 and (features.in_plane_mm or 0.0) > 0.65
    heavy = (features.te or 0.0) >= table.TSE_CISTERN_MIN_TE_MS and features.three_d is True
    if heavy and _fine(features, config) and not whole_head:
        return [_Candidate(SequenceRole.CISTERNOGRAPHY, 2, "fine 3D turbo spin echo with a long echo")]
    return [_Candidate(SequenceRole.T2, 2, "long echo")]


_PHYSICS: tuple[Callable[[Features, IngestConfig], list[_Candidate]], ...] = (
    _balanced,
    _time_of_flight,
    _t1,
    _t2,
)
