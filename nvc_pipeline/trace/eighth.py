"""Nerve VIII as a tube: the facial nerve's neighbour, whose edge must not be taken for its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvc_pipeline.config.trace import EighthConfig, NerveTraceConfig
from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.traced import Centreline
from nvc_pipeline.geometry import Points
from nvc_pipeline.trace.curve import arc_length, resample
from nvc_pipeline.trace.evidence import Evidence
from nvc_pipeline.trace.nerve import nerve_mask, section_settings
from nvc_pipeline.trace.path import minimal_path
from nvc_pipeline.trace.section import Image, refine


def trace_eighth(
    evidence: Evidence, side: Side, nerve: NerveTraceConfig, config: EighthConfig, image: Image | None
) -> Centreline | None:
    """Return nerve VIII from its most medial to its most lateral voxel, None where it was not segmented.

    Only where it was segmented: a made-up stretch would displace fluid that is there.
    """
    field = evidence.get(Structure.VESTIBULOCOCHLEAR_NERVE)
    if field is None:
        return None
    mask = nerve_mask(field, nerve)
    if not mask.any():
        return None
    voxels = field.affine.apply(np.argwhere(mask))
    lateral = voxels[:, 0] * side.sign_x
    ends = voxels[int(np.argmin(lateral))], voxels[int(np.argmax(lateral))]
    rough = resample(minimal_path(field, *ends, cost_floor=nerve.cost_floor), 0.5)
    if float(arc_length(rough)[-1]) < config.min_length_mm:
        return None
    settings = replace(section_settings(nerve), max_radius_mm=config.max_radius_mm)
    tube = refine(rough, config.expected_radius_mm, field, settings, image)
    seen = np.flatnonzero(tube.support >= nerve.support_probability)
    if len(seen) < 2:
        return None
    part = slice(int(seen[0]), int(seen[-1]) + 1)
    line = Centreline(Points(tube.xyz[part]), tube.radius_mm[part])
    return line if line.length_mm >= config.min_length_mm else None
