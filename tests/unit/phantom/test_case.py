import dataclasses

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Points
from nvc_pipeline.phantom.case import CaseOptions, Randomise, label_index, label_names, make_case


def label_at(case, points):
    ijk = np.round(case.labels.affine.to_ijk(Points(np.asarray(points))).xyz).astype(int)
    inside = np.all((ijk >= 0) & (ijk < case.labels.shape), axis=1)
    return case.labels.array[tuple(ijk[inside].T)]


def test_unknown_family_is_refused():
    with pytest.raises(UsageError) as error:
        make_case("painted", 1)
    assert error.value.code == "phantom.family"


def test_label_table_is_stable():
    names = label_names()
    assert names[1] == "brainstem"
    assert names[label_index(Structure.FACIAL_NERVE, Side.RIGHT)] == "facial_nerve_right"
    assert names[label_index(Structure.BA)] == "BA"
    assert len(set(names.values())) == len(names)


class TestLabels:
    @pytest.mark.parametrize("side", list(Side))
    def test_centreline_lies_in_its_label(self, case, side):
        nerve = np.array(case.truth["sides"][side.value]["nerve"]["centreline_lps_mm"])
        found = label_at(case, nerve[8:])
        assert np.mean(found == label_index(Structure.FACIAL_NERVE, side)) > 0.97

    @pytest.mark.parametrize("side", list(Side))
    def test_attached_segment_is_a_corridor_in_the_pons(self, case, side):
        points = np.array(case.truth["sides"][side.value]["nerve"]["attached_segment_lps_mm"])[10:-10]
        index = label_index(Structure.ATTACHED_SEGMENT, side)
        ijk = np.argwhere(case.labels.array == index)
        lps = case.labels.affine.apply(ijk)
        nearest = np.min(np.linalg.norm(lps[:, None] - points[None, ::5], axis=2), axis=0)
        assert np.all(nearest < 0.9)

    def test_left_labels_lie_to_the_left_of_right_ones(self, case):
        for structure in (Structure.FACIAL_NERVE, Structure.AICA, Structure.VESTIBULOCOCHLEAR_NERVE):
            x = [
                case.labels.affine.apply(np.argwhere(case.labels.array == label_index(structure, side)))[:, 0]
                for side in (Side.LEFT, Side.RIGHT)
            ]
            assert x[0].mean() > x[1].mean() + 10

    @pytest.mark.parametrize("name", ["BA", "VA_left", "VA_right", "AICA_left", "PICA_right"])
    def test_vessel_centrelines_lie_in_their_labels(self, case, name):
        vessels = case.truth["sides"]["left"]["vessels"]
        line = next(v for v in vessels if v["vessel_id"] == name)["centreline_lps_mm"]
        index = next(i for i, label in case.labels.names.items() if label == name)
        assert np.mean(label_at(case, line[30:]) == index) > 0.75


class TestImages:
    def test_fluid_is_bright_and_nerve_dark_on_the_cisternogram(self, case):
        nerve = np.array(case.truth["sides"]["left"]["nerve"]["centreline_lps_mm"])
        inside = case.cisternogram.sample(Points(nerve[10:-10]))
        bright = np.percentile(case.cisternogram.array, 98)
        assert np.median(inside) < 0.6 * bright

    def test_basilar_shines_on_the_tof_through_the_stored_transform(self, case):
        line = next(v for v in case.truth["sides"]["left"]["vessels"] if v["vessel_id"] == "BA")
        from nvc_pipeline.geometry import Affine

        moved = Affine(np.array(case.truth["tof_from_cisternogram"])).apply(
            np.array(line["centreline_lps_mm"])
        )
        assert np.median(case.tof.sample(Points(moved[20:150]))) > 2 * np.median(case.tof.array)

    def test_acquired_resolution_is_told(self, case):
        assert case.cisternogram.acquired_voxel_mm == pytest.approx((0.8, 0.8, 0.8))
        assert case.truth["acquired_voxel_mm"] == pytest.approx([0.8, 0.8, 0.8])


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not():
    small = CaseOptions(voxel_mm=1.0, tof_probability=0.0, randomise=Randomise.everything())
    first, again = make_case("analytic", 3, small), make_case("analytic", 3, small)
    assert first.cisternogram.array.tobytes() == again.cisternogram.array.tobytes()
    assert first.labels.array.tobytes() == again.labels.array.tobytes()
    assert first.truth == again.truth
    other = make_case("analytic", 3, dataclasses.replace(small, randomise=Randomise()))
    assert other.cisternogram.array.tobytes() != first.cisternogram.array.tobytes()
