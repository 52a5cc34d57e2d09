"""Spaces, affines, points and volumes: the only orientation arithmetic in the project."""

from nvc_pipeline.geometry.plane import Plane
from nvc_pipeline.geometry.space import Affine, FloatArray, Frame, Points, axis_aligned_grid
from nvc_pipeline.geometry.volume import LabelVolume, Volume

__all__ = [
    "Affine",
    "FloatArray",
    "Frame",
    "LabelVolume",
    "Plane",
    "Points",
    "Volume",
    "axis_aligned_grid",
]
