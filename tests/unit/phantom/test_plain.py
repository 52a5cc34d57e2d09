"""Plain scenes: repeatable, wide, and with labels and landmarks that agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure
from nvc_pipeline.errors import UsageError
from nvc_pipeline.phantom.case import CaseOptions, make_case, make_training_case
from nvc_pipeline.phantom.plain.shapes import blend, ellipsoid, pushed_out, taper
from nvc_pipeline.segment.phantoms import labelled

SEEDS = (11, 12)
OPTIONS = CaseOptions(tof_probability=1.0, label_spacing_mm=0.8)


@pytest.fixture(scope="module")
def cases():
    return {seed: make_training_case("plain", seed, OPTIONS) for seed in SEEDS}


def _points(case, name):
    ijk = np.argwhere(case.labels.mask(name))
    return case.labels.affine.apply(ijk)


class TestCase:
    @pytest.mark.parametrize("seed", SEEDS)
    @pytest.mark.parametrize("side", list(Side))
    def test_the_nerve_runs_from_the_brainstem_to_the_porus(self, cases, seed, side):
        case = cases[seed]
        known = labelled(case).landmarks[side]
        stem, nerve = _points(case, "brainstem"), _points(case, f"facial_nerve_{side.value}")
        root = known[Landmark.ROOT_DETACHMENT_POINT].xyz[0]
        assert cKDTree(stem).query(root)[0] < 2.0
        for landmark in (Landmark.ROOT_DETACHMENT_POINT, Landmark.PORUS):
            assert cKDTree(nerve).query(known[landmark].xyz[0])[0] < 1.5
        assert (np.sign(nerve[:, 0]) == side.sign_x).mean() > 0.99

    def test_arteries_are_bright_on_tof_and_csf_on_the_cisternogram(self, cases):
        for case in cases.values():
            basilar = _points(case, "BA")
            stem = _points(case, "brainstem")[::50]

            def level(volume, xyz):
                ijk = np.rint(volume.affine.inverse().apply(xyz)).astype(int)
                inside = ((ijk >= 0) & (ijk < volume.shape)).all(axis=1)
                return float(np.median(volume.array[tuple(ijk[inside].T)]))

            assert level(case.tof, basilar) > 1.2 * level(case.tof, stem)
            assert level(case.cisternogram, stem) < 0.9 * float(np.percentile(case.cisternogram.array, 95))

    def test_the_same_seed_gives_the_same_bytes(self, cases):
        again = make_training_case("plain", SEEDS[0], OPTIONS)
        np.testing.assert_array_equal(again.cisternogram.array, cases[SEEDS[0]].cisternogram.array)
        np.testing.assert_array_equal(again.labels.array, cases[SEEDS[0]].labels.array)

    def test_seeds_differ_in_anatomy(self, cases):
        one, two = (cases[s].truth["sides"]["left"]["nerve"]["porus_lps_mm"] for s in SEEDS)
        assert np.linalg.norm(np.subtract(one, two)) > 1.0

    def test_is_no_study_to_measure(self):
        """Its truth holds no contact, so ``nvc phantom`` must not offer it."""
        with pytest.raises(UsageError, match="no such family"):
            make_case("plain", 1)


class TestShapes:
    def test_distance_to_a_ball_is_exact(self):
        ball = ellipsoid((1, 2, 3), (4, 4, 4))
        at = np.array([[1, 2, 9.0], [1, 2, 6.0]]).T.astype(np.float32)
        np.testing.assert_allclose(ball(at), [2.0, -1.0], atol=1e-4)

    def test_a_blend_holds_both_bodies(self):
        one, two = ellipsoid((0, 0, 0), (3, 3, 3)), taper((0, 0, 0), (10, 0, 0), (1, 1))
        both = blend([one, two], 1.0)
        at = np.array([[0, 2.5, 0], [9, 0.5, 0], [9, 3, 0.0]]).T.astype(np.float32)
        assert (both(at) < 0).tolist() == [True, True, False]

    def test_a_course_is_pushed_out_of_a_body(self):
        ball = ellipsoid((0, 0, 0), (5, 5, 5))
        line = np.linspace((-8, 1, 0), (8, 1, 0), 60)
        out = pushed_out(ball, line, 0.5)
        assert float(ball(out.T.astype(np.float32)).min()) > 0.4


def test_every_structure_has_a_label():
    case = make_training_case("plain", SEEDS[1], OPTIONS)
    present = {case.labels.names[i] for i in np.unique(case.labels.array) if i}
    assert {"brainstem", "BA", "facial_nerve_left", "vestibulocochlear_nerve_right"} <= present
    assert any(name.startswith(Structure.AICA.value) for name in present)
