"""The dent against the other side's pons, on surfaces whose difference is known."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measurement.scenes import ground_height
from nvc_pipeline.domain.traced import Mirror, Surface
from nvc_pipeline.geometry import Plane
from nvc_pipeline.measure.mirrored import mirrored_height
from nvc_pipeline.measure.side import measure_side
from nvc_pipeline.trace.sheet import Sheet

PLANE = Plane(np.array([0.0, -20.0, 0.0]), np.array([0.0, 1.0, 0.0]))


def surface(height, step=0.4):
    xs, ys = np.meshgrid(np.arange(-11, 3.0, step), np.arange(-7, 7.1, step), indexing="ij")
    z = height(xs, ys)
    e = 1e-3
    slope = [
        (height(xs + e, ys) - height(xs - e, ys)) / (2 * e),
        (height(xs, ys + e) - height(xs, ys - e)) / (2 * e),
    ]
    normals = np.stack([-slope[0], -slope[1], np.ones_like(xs)], -1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(np.stack([xs, ys, z], -1).reshape(-1, 3), np.zeros((0, 3), dtype=np.int64), normals)


def bulge(x, y, at, depth_mm):
    return depth_mm * np.exp(-0.5 * ((x - at[0]) ** 2 + (y - at[1]) ** 2) / 0.9**2)


@pytest.mark.parametrize("depth_mm", [-0.3, 0.0, 0.6])
def test_a_shifted_and_tilted_reflection_tells_the_shape_alone(depth_mm, config):
    own = surface(ground_height)
    sheet = Sheet(
        own, np.array([-4.0, 0, ground_height(-4.0, 0.0)]), np.array([1.0, 0, 0]), 4.5, 3.0, config.fit
    )
    at = sheet.local(np.array([[-4.0, 0.0, 0.0]]))[0, :2]
    other = surface(
        lambda x, y: ground_height(x, y) + bulge(x, y, (-4.0, 0.0), depth_mm) + 0.5 + 0.06 * x - 0.05 * y, 0.3
    )
    ring = sheet.local(own.vertices)
    away = np.linalg.norm(ring[:, :2] - at, axis=1)
    core = at + 0.25 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    found = mirrored_height(core, ring[(away > 2.0) & (away < 5.0)], other, sheet)
    here = sheet.local(np.array([[-4.0, 0.0, ground_height(-4.0, 0.0)]]))[0, 2]
    assert found.height - here == pytest.approx(depth_mm, abs=0.08)
    assert found.sd_mm < 0.05


def test_half_a_reflection_is_not_enough(config):
    own = surface(ground_height)
    sheet = Sheet(
        own, np.array([-4.0, 0, ground_height(-4.0, 0.0)]), np.array([1.0, 0, 0]), 4.5, 3.0, config.fit
    )
    kept = own.vertices[:, 1] > -1.0
    half = Surface(own.vertices[kept], own.faces, own.normals[kept])
    ring = sheet.local(own.vertices)
    away = np.linalg.norm(ring[:, :2], axis=1)
    assert mirrored_height(np.zeros((1, 2)), ring[(away > 2.0) & (away < 5.0)], half, sheet) is None


@pytest.mark.parametrize("depth_mm", [0.0, 0.7])
def test_both_references_stand_side_by_side(depth_mm, corridor_drawn, config):
    scene, volume, traced = corridor_drawn
    at = scene.vessels[0][0]
    at = at[int(np.argmin(at[:, 2] - ground_height(at[:, 0], at[:, 1])))]
    other = surface(lambda x, y: ground_height(x, y) + bulge(x, y, at, depth_mm) + 0.2)
    (contact,) = measure_side(replace(traced, mirror=Mirror(PLANE, other)), volume, config).contacts
    dent = contact.pons_indentation_mirror_mm
    assert dent.value == pytest.approx(depth_mm, abs=0.25)
    assert dent.low < depth_mm < dent.high
    # The smooth reference knows nothing of the other side.
    (alone,) = measure_side(traced, volume, config).contacts
    assert alone.pons_indentation_mm == contact.pons_indentation_mm
    assert alone.pons_indentation_mirror_mm.reason == "other_side_not_compared"
    assert contact.pons_indentation_area_mm2.valid
    assert contact.contact_from_mm.value <= contact.arc_length_mm.value <= contact.contact_to_mm.value
