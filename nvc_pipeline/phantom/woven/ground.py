"""The dense truth of one side of a head, taken from the very surfaces that are drawn."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.geometry import Affine
from nvc_pipeline.phantom.truth import SideGeometry, VesselTruth
from nvc_pipeline.phantom.woven.head import Head, corridor_samples
from nvc_pipeline.phantom.woven.tubes import arc


def side_geometry(head: Head, side: Side, pose: Affine) -> SideGeometry:
    """Return nerve VII, the pontine corridor and the vessels of one side, ``pose`` applied (LPS mm)."""
    seven = head.sevens[side]
    free_s = seven.free.arc()
    path_s = arc(seven.path)
    path_s = path_s - path_s[-1]
    corridor = corridor_samples(head.stem, seven.path)
    corridor_s = path_s[cKDTree(seven.path).query(corridor)[1]]
    on_pons = corridor_s <= -1.0
    skin, at = seven.free.skin()
    skin_s = free_s[at]
    # The last millimetre of the attached nerve stands out of the pons already.
    rise, rise_at = seven.buried.skin()
    rise_s = (seven.buried.arc() - seven.buried.arc()[-1])[rise_at]
    skin, skin_s = np.concatenate([rise, skin]), np.concatenate([rise_s, skin_s])
    seen = (skin_s > -1.0) & (head.stem.at(skin) > -0.02)
    vessels = tuple(
        VesselTruth(
            tube.name,
            tube.vessel or VesselClass.UNKNOWN,
            pose.apply(tube.points),
            tube.wide,
            tube.parent,
            head.deviation.get(tube.name, 0.0),
            head.dent.get(tube.name, 0.0),
        )
        for tube in head.vessels
        if tube.side in (None, side)
    )
    return SideGeometry(
        side,
        pose.apply(seven.free.points),
        free_s,
        seven.free.narrow,
        np.pi * seven.free.wide * seven.free.narrow,
        pose.apply(seven.path),
        seven.porus_s,
        pose.apply(skin[seen]),
        skin_s[seen],
        pose.apply(corridor[on_pons]),
        corridor_s[on_pons],
        vessels,
    )
