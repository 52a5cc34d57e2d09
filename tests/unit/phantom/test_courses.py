"""Real vessel trees as a source of courses: read as centrelines, and used by the grown family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import Affine
from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.courses import STEP_MM, centrelines, read_courses
from nvc_pipeline.phantom.grown.curves import surface_distance
from nvc_pipeline.phantom.grown.family import draw_head
from nvc_pipeline.phantom.grown.ground import side_geometry
from nvc_pipeline.phantom.truth import side_truth

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "vessels" / "mni_icbm_tof"
ASKED = {Side.LEFT: (("AICA", "attached_segment", -0.6),), Side.RIGHT: (("PICA", "transition_zone", 0.25),)}


def tree(spacing=0.7, wave_mm=1.0, branched=True):
    """A wavy trunk of 40 mm along the second axis with a straight branch of 15 mm, and a crumb."""
    mask = np.zeros((60, 80, 60), bool)
    points = np.argwhere(~mask) * spacing
    y = np.arange(5.0, 45.0, 0.2)
    # Somewhat oblique: thinning eats a tube that lies along the grid from its ends.
    aside = 20 + 0.2 * (y - 23) + wave_mm * np.sin(2 * np.pi * y / 12)
    trunk = np.stack([aside, y, 20 + 0.1 * (y - 23)], axis=1)
    branch = np.stack([np.linspace(20, 35, 80), np.full(80, 23.0), np.full(80, 20.0)], axis=1)
    parts = [(trunk, 1.2), (np.array([[5.0, 50.0, 5.0]]), 1.0)] + [(branch, 0.9)] * branched
    for line, radius in parts:
        for point in line:
            mask.flat[np.linalg.norm(points - point, axis=1) < radius] = True
    return mask, np.full(3, spacing)


def write(folder, mask, spacing):
    image = nib.Nifti1Image(mask.astype(np.uint8) * 200, np.diag([*spacing, 1.0]))
    nib.save(image, folder / "one_vesselprob.nii.gz")


def test_centrelines_are_the_trunk_and_its_branch():
    mask, spacing = tree()
    lines = sorted(centrelines(mask, spacing, 8.0), key=len)
    lengths = [np.linalg.norm(line[0] - line[-1]) for line in lines]
    assert len(lines) == 2
    assert lengths[1] > 28.0
    assert 8.0 < lengths[0] < 32.0


def test_what_wanders_is_the_wave_and_a_straight_tree_does_not(tmp_path):
    for name, wave in (("wavy", 1.0), ("straight", 0.0)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, *tree(wave_mm=wave, branched=False))
    rng = np.random.default_rng(1)
    wavy, straight = (read_courses(tmp_path / n) for n in ("wavy", "straight"))
    sizes = [np.mean([c.wander(rng, 40).std() for _ in range(60)]) for c in (wavy, straight)]
    assert sizes[0] > 3.0 * sizes[1]
    assert wavy.wander(rng, 300).shape == (300, 3)


def test_equal_generators_give_equal_wandering(tmp_path):
    write(tmp_path, *tree())
    courses = read_courses(tmp_path)
    one, two = (courses.wander(np.random.default_rng(4), 50) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_folder_without_a_tree_is_refused_by_name(tmp_path):
    with pytest.raises(InputRefused) as refused:
        read_courses(tmp_path)
    assert refused.value.code == "phantom.no_courses"


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("courses")
    write(folder, *tree())
    plain = CaseOptions(offenders=ASKED)
    return draw_head(5, plain), draw_head(5, replace(plain, courses=read_courses(folder)))


def test_real_courses_change_vessels_and_keep_what_was_asked_for(heads):
    plain, real = heads
    moved = [
        np.linalg.norm(a.points[len(a.points) // 4] - b.points[len(b.points) // 4])
        for a, b in zip(plain.vessels.values(), real.vessels.values(), strict=False)
    ]
    assert max(moved) > 0.3
    truth = side_truth(side_geometry(real, Side.LEFT, Affine.identity()), 0.425)
    contact = next(c for c in truth["contacts"] if "AICA" in c["vessel_id"])
    assert contact["gap_mm"] == pytest.approx(0.0, abs=0.06)


def test_no_real_course_cuts_into_the_stem(heads):
    vertices = heads[1].stem.vertices()
    for tube in heads[1].vessels.values():
        assert surface_distance(vertices, tube).min() > -0.02, tube.name


@pytest.mark.skipif(not REAL.is_dir(), reason="the public TOF maps are not beside the project")
def test_real_trees_give_long_courses_that_wander_as_arteries_do():
    courses = read_courses(REAL)
    assert sum(len(piece) for piece in courses.pieces) * STEP_MM > 2000.0
    rng = np.random.default_rng(0)
    spread = np.mean([courses.wander(rng, 60).std() for _ in range(200)])
    assert 0.3 < spread < 1.0
    head = draw_head(6, CaseOptions(courses=courses))
    vertices = head.stem.vertices()
    assert min(surface_distance(vertices, tube).min() for tube in head.vessels.values()) > -0.02
