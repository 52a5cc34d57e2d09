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
    (r"^\*?(ep_|epfid|epse|ep2d|epi)|_epi\b", OTHER, "echo-planar"),
    (r"^\*?fm2d", OTHER, "field map"),
    (r"localizer|scout", LOCALIZER, "localizer"),
)

# SeriesDescription, ProtocolName: typed by people, the last to be asked.
FREE_TEXT = _rules(
    (
        r"ciss|fiesta|true?[ _-]?fisp|b-?ffe|bal.*ffe|drive|truessfp|tru[ _-]?fi",
        CISTERN,
        "a cisternography name",
    ),
    (
        r"cistern|\biac\b|\biam\b|inner ?ear|innenohr|cpa\b|cube.*t2.*iac|t2.*space.*(iac|iam)",
        CISTERN,
        "the cistern",
    ),
    (r"\btof\b|_tof|tof_|time.?of.?flight|angio|\bmra\b", TOF, "an angiography name"),
    (r"t1.*(gd|gad|km|c\+|\+c|post|contrast)|(post|\+).*t1", SequenceRole.T1_CONTRAST, "T1 with contrast"),
    (r"t1|mprage|bravo|vibe|\bspgr\b", T1, "T1"),
    (r"flair", T2, "FLAIR"),
    (r"t2|\btse\b|\bfse\b", T2, "T2"),
    (r"local|scout|survey|3.?plane|plan_loc", LOCALIZER, "a localizer name"),
)

DERIVED_TEXT = re.compile(r"\b(mip|mpr|minip|subtraction|sub|reformat|rendered|vrt?)\b", re.IGNORECASE)


# Physics windows: ms, degrees. A balanced sequence reads its echo midway between pulses.
BSSFP_TR_MS = (2.5, 25.0)
BSSFP_TE_OVER_TR = (0.33, 0.62)
BSSFP_MIN_FLIP_DEG = 25.0
TOF_TR_MS = (12.0, 60.0)
TOF_TE_MS = (1.5, 9.0)
TOF_FLIP_DEG = (8.0, 40.0)
TOF_MAX_TE_OVER_TR = 0.32
TSE_CISTERN_MIN_TE_MS = 80.0
T2_MIN_TE_MS = 60.0
T1_SE_MAX = (1000.0, 40.0)
