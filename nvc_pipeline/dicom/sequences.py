"""Tables that the classifier reads: vendors' sequence names, free-text words, physics windows.

Vendor names come from the vendors' public conformance statements and product names; physics
windows from the protocols in the clinical reference, section 3, with room on both sides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nvc_pipeline.domain.anatomy import SequenceRole

CISTERN, TOF = SequenceRole.CISTERNOGRAPHY, SequenceRole.TOF
T1, T2, LOCALIZER, OTHER = (
    SequenceRole.T1,
    SequenceRole.T2,
    SequenceRole.LOCALIZER,
    SequenceRole.OTHER,
)


@dataclass(frozen=True)
class NameRule:
    """A pattern over a name, and the role that it speaks for."""

    pattern: re.Pattern[str]
    role: SequenceRole
    what: str


def _rules(*rows: tuple[str, SequenceRole, str]) -> tuple[NameRule, ...]:
    return tuple(NameRule(re.compile(p, re.IGNORECASE), role, what) for p, role, what in rows)


# SequenceName, PulseSequenceName, GE's and Philips' private names: set by the scanner.
VENDOR_SEQUENCES = _rules(
    (r"^\*?ci3d|ciss", CISTERN, "Siemens CISS"),
    (r"^\*?(tfi3d|trufi3d)|truefisp|true_?fisp|^\*?c?fi3d", CISTERN, "Siemens TrueFISP"),
    (r"fiesta", CISTERN, "GE FIESTA"),
    (r"^b-?ffe|bal(anced)?[-_ ]?ffe|^b-?tfe", CISTERN, "Philips balanced FFE"),
    (r"drive", CISTERN, "Philips DRIVE"),
    (r"true_?ssfp|^trussfp|fe3d_?ssfp", CISTERN, "Canon TrueSSFP"),
    (r"pbsg", CISTERN, "Hitachi PBSG"),
    (r"gre_?bssfp|bssfp", CISTERN, "balanced SSFP"),
    (r"tof", TOF, "time of flight"),
    (r"^\*?tfl3d|mprage|^\*?fl3d.*vibe|bravo|^tfe|t1_?tfe", T1, "magnetisation-prepared or spoiled T1"),
    (r"^\*?fm2d", OTHER, "field map"),
    (r"localizer|scout", LOCALIZER, "localizer"),
)
ECHO_PLANAR = re.compile(r"^\*?(ep_|epfid|epse|ep2d|epi)|_epi\b", re.IGNORECASE)


def _word(words: str) -> str:
    """A pattern for whole words, an underscore being no letter."""
    return rf"(?<![a-z])(?:{words})(?![a-z])"


# SeriesDescription, ProtocolName: typed by people, the last to be asked.
FREE_TEXT = _rules(
    (
        r"ciss|fiesta|true?[ _-]?fisp|bal.*ffe|drive|true?[ _-]?ssfp|tru[ _-]?fi|bssfp|pbsg|"
        + _word("b[ _-]?ffe"),
        CISTERN,
        "a cisternography name",
    ),
    (
        r"cistern|inner ?ear|innenohr|heav(il)?y[ _-]*t2|" + _word("iac|iacs|iam|iams|cpa"),
        CISTERN,
        "the cistern",
    ),
    (r"time.?of.?flight|angio|motsa|" + _word("tof[ _-]?(?:3d|2d)?|mra"), TOF, "an angiography name"),
    (r"t1.*(gd|gad|km|c\+|\+c|post|contrast)|(post|\+).*t1", SequenceRole.T1_CONTRAST, "T1 with contrast"),
    (r"t1|mprage|bravo|vibe|" + _word("spgr"), T1, "T1"),
    (r"t2[ _-]?(\*|star)|medic|merge|venobold|" + _word("swi|swan"), OTHER, "a T2* name"),
    (r"flair", T2, "FLAIR"),
    (r"t2|" + _word("tse|fse|fase"), T2, "T2"),
    (r"local|scout|survey|3.?plane|plan_loc", LOCALIZER, "a localizer name"),
)

# ScanOptions of flow compensation, and of the ramped pulses that only inflow imaging uses (GE).
FLOW_OPTIONS = frozenset({"FC", "FLOW_COMP", "FC_SLICE_AX_GEMS", "RAMP_IS_GEMS", "RAMP_SI_GEMS"})
# What people call images that were computed: on another grid only, or from many voxels.
RESAMPLED_TEXT = re.compile(r"reformat|" + _word("mprs?"), re.IGNORECASE)
COMPUTED_TEXT = re.compile(
    # Not a subject's or a flip angle's number: "sub-01", "FA50".
    r"subtraction|rendered|" + _word(r"t?mips?|min-?ips?|m[ni]ip|vrt?|adc|(?:sub|fa)(?![ _=-]*\d)"),
    re.IGNORECASE,
)
PHASE_TEXT = re.compile(
    _word("ph|pha|phase(?![ _-]*(?:cycl|contrast|enc|array))|phases|imag(?:inary)?|real"), re.IGNORECASE
)
# Angiography that shows veins, or flow by phase: TR, TE and flip angle look like a TOF's.
OTHER_ANGIOGRAPHY = (
    (re.compile(r"veno|" + _word("mrv"), re.IGNORECASE), "a venogram by its name"),
    (
        re.compile(r"phase.?contrast|pc3d|3d_?pc(?![a-z])|" + _word("pca|pc[ _-]?mra"), re.IGNORECASE),
        "phase-contrast by its name",
    ),
)


# Physics windows: ms, degrees. A balanced sequence reads its echo midway between pulses.
BSSFP_TR_MS = (2.5, 25.0)
BSSFP_TE_OVER_TR = (0.33, 0.62)
BSSFP_MIN_FLIP_DEG = 25.0
# A spoiled T1 sequence has no use for a flip angle beyond this at so short a repetition.
BSSFP_SURE_FLIP_DEG = 35.0
TOF_TR_MS = (12.0, 60.0)
TOF_TE_MS = (1.5, 9.0)
TOF_FLIP_DEG = (8.0, 40.0)
TOF_MAX_TE_OVER_TR = 0.32
# A thin, fine slab at a repetition that lets blood flow in: spoiled T1 volumes are faster, coarser or
# cover the head. (least TR, in-plane mm, slice mm, coverage mm)
TOF_SLAB = (18.0, 0.85, 1.1, 130.0)
TSE_CISTERN_MIN_TE_MS = 80.0
T2_MIN_TE_MS = 60.0
T1_SE_MAX = (1000.0, 40.0)
