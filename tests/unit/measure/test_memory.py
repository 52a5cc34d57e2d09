"""A remembered contact is never a stale one: whatever it depends on, a change measures it anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvc_pipeline.domain.traced import Mirror
from nvc_pipeline.geometry import Plane, Points, Volume
from nvc_pipeline.measure import vessel as measured
from nvc_pipeline.measure.memory import Memory, digest
from nvc_pipeline.measure.side import measure_side


def _nerve(traced, **changes):
    return replace(traced, nerve=replace(traced.nerve, **changes))


def _thicker(line, by=1.15):
    return replace(line, radius_mm=line.radius_mm * by)


def _vessel(traced, **changes):
    first, *others = traced.vessels
    return replace(traced, vessels=(replace(first, **changes), *others))


def _moved(points, mm):
    return Points(points.xyz + np.array([0.0, 0.0, mm]))


# What a correction, another case or another setting can change, one at a time.
CHANGES = {
    "image": lambda t, v, c: (t, v.with_array(v.array * np.linspace(0.7, 1.3, v.shape[0])[:, None, None]), c),
    "place of the image": lambda t, v, c: (t, _shifted(v), c),
    "nerve's radius": lambda t, v, c: (_nerve(t, free=_thicker(t.nerve.free)), v, c),
    "nerve's course": lambda t, v, c: (
        _nerve(t, free=replace(t.nerve.free, points=_moved(t.nerve.free.points, 0.2))),
        v,
        c,
    ),
    "attached course": lambda t, v, c: (_nerve(t, attached=_moved(t.nerve.attached, 0.3)), v, c),
    "root's SD": lambda t, v, c: (_nerve(t, detachment=replace(t.nerve.detachment, sd_mm=3.0)), v, c),
    "pons": lambda t, v, c: (
        replace(t, pons=replace(t.pons, vertices=t.pons.vertices + t.pons.normals * 0.3)),
        v,
        c,
    ),
    "other side's pons": lambda t, v, c: (replace(t, mirror=_mirror(t.pons, 0.4)), v, c),
    "vessel's radius": lambda t, v, c: (_vessel(t, centreline=_thicker(t.vessels[0].centreline)), v, c),
    "neighbour": lambda t, v, c: (
        replace(t, vessels=(*t.vessels, replace(t.vessels[0], vessel_id="vein_left_9"))),
        v,
        c,
    ),
    "setting": lambda t, v, c: (
        t,
        v,
        c.model_copy(update={"interval": c.interval.model_copy(update={"model_sd_mm": 0.4})}),
    ),
}


def _mirror(pons, by_mm):
    """The other side's pons, reflected: as this one's, with a knoll ``by_mm`` high in the middle of it."""
    away = np.linalg.norm(pons.vertices - np.median(pons.vertices, axis=0), axis=1)
    raised = pons.vertices + pons.normals * (by_mm * np.exp(-0.5 * away**2))[:, None]
    return Mirror(
        Plane(np.array([-20.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0])), replace(pons, vertices=raised)
    )


def _shifted(volume: Volume) -> Volume:
    matrix = np.array(volume.affine.matrix)
    matrix[2, 3] += 0.3
    return replace(volume, affine=type(volume.affine)(matrix))


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_measured_anew(corridor_scene, config, what):
    volume, traced = corridor_scene
    before = measure_side(traced, volume, config)
    now, image, settings = CHANGES[what](traced, volume, config)
    warm = measure_side(now, image, settings)
    measured._contacts.forget()
    assert warm == measure_side(now, image, settings)
    assert warm.contacts != before.contacts


def test_another_pons_on_the_other_side_is_another_dent(corridor_scene, config):
    volume, traced = corridor_scene
    first, second = (
        measure_side(replace(traced, mirror=_mirror(traced.pons, mm)), volume, config) for mm in (0.0, 0.4)
    )
    dents = [r.contacts[0].pons_indentation_mirror_mm.value for r in (first, second)]
    assert None not in dents
    assert dents[0] != dents[1]


def test_the_nerve_in_the_canal_is_a_part_of_what_a_contact_depends_on(crossing, config):
    _, volume, traced = crossing
    longer = _nerve(traced, canal=traced.nerve.free)
    thicker = _nerve(traced, canal=_thicker(traced.nerve.free))
    assert len({measured.surroundings(t, volume, config) for t in (traced, longer, thicker)}) == 3


def test_nothing_changed_is_the_same(corridor_scene, config):
    volume, traced = corridor_scene
    assert measure_side(traced, volume, config) == measure_side(traced, volume, config)


def test_arrays_of_other_shape_or_type_have_other_hashes():
    flat, square = np.zeros(4), np.zeros((2, 2))
    assert len({digest(flat), digest(square), digest(flat.astype(np.float32)), digest(0.0)}) == 4


def test_only_the_last_results_are_kept():
    memory, made = Memory[int](2), []

    def make(value):
        made.append(value)
        return value

    for value in (1, 2, 3, 1):
        assert memory.recall(bytes([value]), lambda v=value: make(v)) == value
    assert made == [1, 2, 3, 1]
