"""Measurement under changes that must not matter, or must matter in a known way (family F10)."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.measurement.scenes import draw_scene, image_of, traced_of
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.traced import Centreline, Mirror, TracedSide, Vessel
from nvc_pipeline.geometry import Affine, Plane, Points, Volume
from nvc_pipeline.measure.side import measure_side

CONFIG = load_config().measure


@pytest.fixture(scope="module", params=["oblique", "corridor"])
def base(request):
    rng = np.random.default_rng(11)
    scene = draw_scene(rng, request.param, 0.4)
    volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.6), snr=30.0, size_mm=12.0)
    traced = traced_of(scene, rng)
    pons = traced.pons
    if pons is not None:
        # The other side's, reflected: what is there 0.5 mm higher under the vessel.
        away = np.linalg.norm(pons.vertices - scene.vessels[0][0][len(scene.vessels[0][0]) // 2], axis=1)
        raised = pons.vertices + 0.5 * np.exp(-0.5 * (away[:, None] - away.min()) ** 2) * np.array(
            [0, 0, 1.0]
        )
        plane = Plane(np.array([0.0, 0.0, -20.0]), np.array([1.0, 0.0, 0.0]))
        traced = replace(traced, mirror=Mirror(plane, replace(pons, vertices=raised)))
    return traced, volume, measure_side(traced, volume, CONFIG)


def moved(traced: TracedSide, map_: Affine, side: Side = Side.LEFT) -> TracedSide:
    """Carry traced anatomy by a rigid or mirroring map."""

    def points(p: Points) -> Points:
        return Points(map_.apply(p.xyz))

    def landmark(e):
        return None if e is None else replace(e, point=points(e.point))

    n = traced.nerve
    nerve = replace(
        n,
        side=side,
        free=Centreline(points(n.free.points), n.free.radius_mm),
        attached=points(n.attached),
        exit_point=landmark(n.exit_point),
        detachment=landmark(n.detachment),
        porus=landmark(n.porus),
    )
    vessels = tuple(
        replace(v, centreline=Centreline(points(v.centreline.points), v.centreline.radius_mm))
        for v in traced.vessels
    )
    turn = map_.matrix[:3, :3]

    def surface(s):
        return None if s is None else replace(s, vertices=map_.apply(s.vertices), normals=s.normals @ turn.T)

    mirror = traced.mirror
    if mirror is not None:
        plane = Plane(map_.apply(mirror.midplane.point[None])[0], turn @ mirror.midplane.normal)
        mirror = Mirror(plane, surface(mirror.pons))
    return TracedSide(side, nerve, vessels, surface(traced.pons), mirror=mirror)


def carried(volume: Volume, map_: Affine) -> Volume:
    return Volume(volume.array, map_ @ volume.affine, "", volume.acquired_voxel_mm)


def numbers(report):
    return {
        c.vessel_id: [
            c.gap_mm.value,
            c.arc_length_mm.value,
            c.contact_length_mm.value,
            c.contact_area_mm2.value,
            c.crossing_angle_deg.value,
            c.pons_indentation_mirror_mm.value,
            c.pons_indentation_mm.value,
            c.deviation_mm.value,
        ]
        for c in report.contacts
    }


def assert_equal(report, expected, tolerance=0.01):
    assert [c.vessel_id for c in report.contacts] == [c.vessel_id for c in expected.contacts]
    for name, values in numbers(expected).items():
        got = numbers(report)[name]
        assert got[0] == pytest.approx(values[0], abs=tolerance)
        assert got[1] == pytest.approx(values[1], abs=20 * tolerance)
        assert got[4] == pytest.approx(values[4], abs=200 * tolerance)
        for one, two in zip(got[5:], values[5:], strict=True):
            assert (one is None) == (two is None)
            assert one is None or one == pytest.approx(two, abs=3 * tolerance)
    assert [c.grade for c in report.contacts] == [c.grade for c in expected.contacts]
    assert report.priority == expected.priority
    assert report.pattern == expected.pattern


def test_translation_changes_nothing(base):
    traced, volume, expected = base
    shift = np.eye(4)
    shift[:3, 3] = [37.0, -21.5, 88.25]
    map_ = Affine(shift)
    assert_equal(measure_side(moved(traced, map_), carried(volume, map_), CONFIG), expected)


def test_rotation_changes_nothing(base):
    traced, volume, expected = base
    a, b = np.radians([25.0, -40.0])
    turn = np.eye(4)
    turn[:3, :3] = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]]) @ np.array(
        [[1.0, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]
    )
    map_ = Affine(turn)
    assert_equal(measure_side(moved(traced, map_), carried(volume, map_), CONFIG), expected)


def test_mirror_swaps_the_side_and_keeps_the_values(base):
    traced, volume, expected = base
    map_ = Affine(np.diag([-1.0, 1.0, 1.0, 1.0]))
    mirrored = moved(traced, map_, Side.RIGHT)
    report = measure_side(mirrored, carried(volume, map_), CONFIG)
    assert_equal(report, expected)
    clock, before = report.contacts[0].direction_clock_deg, expected.contacts[0].direction_clock_deg
    assert clock.valid == before.valid
    if before.valid:
        assert clock.value == pytest.approx(before.value, abs=2.0)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0)])
def test_swapped_and_flipped_axes_change_nothing(base, order):
    traced, volume, expected = base
    matrix = np.array(volume.affine.matrix)
    matrix[:, :3] = volume.affine.matrix[:, list(order)]
    array = np.transpose(volume.array, order)[::-1]
    matrix[:3, 3] += matrix[:3, 0] * (array.shape[0] - 1)
    matrix[:3, 0] *= -1
    swapped = Volume(np.ascontiguousarray(array), Affine(matrix))
    assert_equal(measure_side(traced, swapped, CONFIG), expected)


def test_brighter_image_changes_nothing(base):
    traced, volume, expected = base
    assert_equal(measure_side(traced, volume.with_array(volume.array * 7.5), CONFIG), expected, 0.005)


def test_a_far_vessel_changes_nothing(base):
    traced, volume, expected = base
    line = traced.vessels[0].centreline
    far = Centreline(Points(line.points.xyz + np.array([0.0, 0.0, 40.0])), line.radius_mm)
    more = replace(traced, vessels=(*traced.vessels, Vessel("far", far, {VesselClass.VA: 1.0}, True)))
    assert measure_side(more, volume, CONFIG).contacts == expected.contacts


def test_the_order_of_vessels_does_not_matter(base):
    traced, volume, expected = base
    line = traced.vessels[0].centreline
    other = Vessel(
        "w",
        Centreline(Points(line.points.xyz + np.array([0, 0, 40.0])), line.radius_mm),
        {VesselClass.VA: 1.0},
        True,
    )
    both = (other, *traced.vessels)
    assert measure_side(replace(traced, vessels=both), volume, CONFIG).contacts == expected.contacts


def test_a_vessel_drawn_backwards_is_the_same_vessel(base):
    traced, volume, expected = base
    turned = tuple(
        replace(
            v,
            centreline=Centreline(Points(v.centreline.points.xyz[::-1]), v.centreline.radius_mm[::-1]),
        )
        for v in traced.vessels
    )
    assert_equal(measure_side(replace(traced, vessels=turned), volume, CONFIG), expected, 0.02)


def test_a_finer_traced_curve_changes_little(base):
    traced, volume, expected = base
    fine = []
    for v in traced.vessels:
        line = v.centreline
        at = np.linspace(0, line.length_mm, 3 * len(line.points.xyz))
        xyz = np.stack([np.interp(at, line.arc_length_mm, c) for c in line.points.xyz.T], 1)
        radius = np.interp(at, line.arc_length_mm, line.radius_mm)
        fine.append(replace(v, centreline=Centreline(Points(xyz), radius)))
    assert_equal(measure_side(replace(traced, vessels=tuple(fine)), volume, CONFIG), expected, 0.03)


def test_a_wrong_start_is_corrected_by_the_image(base):
    traced, volume, expected = base
    v = traced.vessels[0]
    pushed = Centreline(
        Points(v.centreline.points.xyz + np.array([0.1, -0.1, 0.1])), v.centreline.radius_mm * 1.1
    )
    report = measure_side(replace(traced, vessels=(replace(v, centreline=pushed),)), volume, CONFIG)
    assert report.contacts[0].gap_mm.value == pytest.approx(expected.contacts[0].gap_mm.value, abs=0.05)


@pytest.mark.parametrize("thicker", [0.1, 0.3])
def test_a_thicker_vessel_is_nearer_and_touches_more(thicker):
    reports = []
    for add in (0.0, thicker):
        rng = np.random.default_rng(12)
        scene = draw_scene(rng, "perpendicular", 0.4)
        axis, radius, bright = scene.vessels[0]
        scene = replace(scene, vessels=((axis, radius + add, bright),))
        volume, _ = image_of(scene, rng, voxel_mm=(0.5, 0.5, 0.5), snr=60.0, size_mm=11.0)
        reports.append(measure_side(traced_of(scene, rng), volume, CONFIG).contacts[0])
    thin, thick = reports
    assert thick.gap_mm.value == pytest.approx(thin.gap_mm.value - thicker, abs=0.06)
    assert thick.contact_area_mm2.value >= thin.contact_area_mm2.value
    assert thick.contact_length_mm.value >= thin.contact_length_mm.value
