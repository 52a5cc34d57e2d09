"""The contact score, 0 to 100: an ordering of evidence.

It is the expectation, over the probabilities of zone and grade, of a weight that follows the
published ordering (zone first, deformity second, contact last), taken at the heaviest vessel.
It is neither the severity of a spasm nor a probability of disease, and has not been
calibrated on patients.
"""

from __future__ import annotations

from collections.abc import Sequence

from nvc_pipeline.config.measure import ScoreConfig
from nvc_pipeline.domain.anatomy import Grade
from nvc_pipeline.domain.case import Contact


def contact_score(contact: Contact, config: ScoreConfig) -> float:
    """Return the score of one vessel, 0 to 100."""
    inside = sum(p for zone, p in contact.zone_probabilities.items() if zone.susceptible)
    grades = contact.grade_probabilities
    near = sum(grades[g] * w for g, w in zip(Grade, config.susceptible, strict=True))
    far = sum(grades[g] * w for g, w in zip(Grade, config.distal, strict=True))
    return float(min(max(inside * near + (1.0 - inside) * far, 0.0), 100.0))


def side_score(contacts: Sequence[Contact], config: ScoreConfig) -> float:
    """Return the score of a side: that of its heaviest vessel; 0 where no vessel is near."""
    return max((contact_score(c, config) for c in contacts), default=0.0)
