"""From millimetres to a grade, with the probability of each grade."""

from __future__ import annotations

from nvc_pipeline.config.measure import GradeConfig
from nvc_pipeline.domain.anatomy import Grade
from nvc_pipeline.geometry import FloatArray
from nvc_pipeline.measure.deformation import Deformation, Effect
from nvc_pipeline.measure.interval import probability_below


def contact_threshold(resolution_mm: FloatArray, config: GradeConfig) -> float:
    """Return tau, mm: below this gap no fluid line is visible at this acquired resolution.

    ``max(floor, 0.85 h)`` with h the largest acquired voxel side (clinical reference, 7.3).
    """
    return max(config.contact_floor_mm, config.contact_per_voxel * float(resolution_mm.max()))


def grade_contact(
    gap_mm: float, sd_mm: float, effects: Deformation, tau_mm: float, config: GradeConfig
) -> tuple[Grade, dict[Grade, float]]:
    """Return the grade of one vessel by the rules of section 7.3, and all probabilities (sum 1)."""
    touching = probability_below(tau_mm, gap_mm, sd_mm)
    # A nerve is bent by nature too: a vessel that leaves fluid beside it has not pushed it.
    pressing = min(probability_below(config.pressing_gap_mm, gap_mm, sd_mm), touching)
    bent, p_bent = _reaches(effects.deviation, config.deviation_mm, config.deviation_sigmas)
    deviates, p_deviation = bent and pressing >= 0.5, pressing * p_bent
    dented, p_dent = _reaches(effects.pons, config.pons_indentation_mm, config.pons_indentation_sigmas)
    thinned, p_thin = _falls(effects.area_ratio, config)
    indents, p_indentation = dented or thinned, 1.0 - (1.0 - p_dent) * (1.0 - p_thin)
    far = 1.0 - probability_below(max(config.proximity_limit_mm, tau_mm), gap_mm, sd_mm)
    rest = touching - p_deviation
    probabilities = {
        Grade.NONE: far,
        Grade.PROXIMITY: max(1.0 - touching - far, 0.0),
        Grade.CONTACT: rest * (1.0 - p_indentation),
        Grade.INDENTATION: rest * p_indentation,
        Grade.DEVIATION: p_deviation,
    }
    total = sum(probabilities.values())
    probabilities = {grade: p / total for grade, p in probabilities.items()}
    if touching >= 0.5:
        grade = Grade.DEVIATION if deviates else Grade.INDENTATION if indents else Grade.CONTACT
    elif gap_mm - 2.0 * sd_mm > tau_mm and gap_mm > config.proximity_limit_mm:
        grade = Grade.NONE
    else:
        grade = Grade.PROXIMITY
    return grade, probabilities


def _reaches(effect: Effect, least_mm: float, sigmas: float) -> tuple[bool, float]:
    """Tell whether an effect reaches max(least, sigmas * SD), and how probably."""
    value = effect.measure.value
    if value is None:
        return False, 0.0
    limit = max(least_mm, sigmas * effect.sd)
    return value >= limit, 1.0 - probability_below(limit, value, effect.sd)


def _falls(effect: Effect, config: GradeConfig) -> tuple[bool, float]:
    """Tell whether the nerve is thinned: ratio at most the limit and the loss beyond its noise."""
    value = effect.measure.value
    if value is None:
        return False, 0.0
    limit = min(config.nerve_area_ratio, 1.0 - config.area_ratio_sigmas * effect.sd)
    return value <= limit, probability_below(limit, value, effect.sd)
