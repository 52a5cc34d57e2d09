"""The patient's left is on the right of every picture, whatever the volume's own axes."""

import numpy as np
import pytest

from nvc_pipeline.report.figures import overview_figure, vessel_figure
from nvc_pipeline.report.slices import Plane, cut
from tests.unit.geometry.test_space import ORIENTATIONS
from tests.unit.geometry.test_volume import LEFT_MARK, oblique, phantom

# Where the mark (left 12, anterior 4, superior 6 mm) must appear: mm to the right, mm downwards.
EXPECTED = {Plane.AXIAL: (12.0, -4.0), Plane.CORONAL: (12.0, -6.0), Plane.SAGITTAL: (-4.0, -6.0)}
THROUGH = {Plane.AXIAL: 2, Plane.CORONAL: 1, Plane.SAGITTAL: 0}


@pytest.mark.parametrize("plane", list(Plane))
@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_the_mark_is_where_its_letters_say(plane: Plane, turn: float) -> None:
    centre = np.zeros(3)
    centre[THROUGH[plane]] = LEFT_MARK[THROUGH[plane]]
    for direction in ORIENTATIONS[::5]:
        picture = cut(phantom(oblique(turn) @ direction), plane, centre, 20.0)
        row, column = np.unravel_index(picture.pixels.argmax(), picture.pixels.shape)
        step = 2 * 20.0 / picture.pixels.shape[0]
        seen = ((column + 0.5) * step - 20.0, (row + 0.5) * step - 20.0)
        np.testing.assert_allclose(seen, EXPECTED[plane], atol=0.6)
        np.testing.assert_allclose(picture.project(LEFT_MARK)[0], EXPECTED[plane], atol=1e-9)


def test_the_letters_are_the_radiological_convention() -> None:
    volume = phantom(np.eye(3))
    assert cut(volume, Plane.AXIAL, [0, 0, 0], 10).letters == "RLAP"
    assert cut(volume, Plane.CORONAL, [0, 0, 0], 10).letters == "RLSI"
    assert cut(volume, Plane.SAGITTAL, [0, 0, 0], 10).letters == "APSI"


def test_depth_is_measured_along_the_third_axis() -> None:
    picture = cut(phantom(np.eye(3)), Plane.CORONAL, [0, 5, 0], 10)
    np.testing.assert_allclose(picture.depth_mm([[9, 7, 9]]), [2.0])


def test_equal_figures_have_equal_bytes() -> None:
    volume = phantom(np.eye(3))
    assert vessel_figure(volume) == vessel_figure(volume)
    assert overview_figure(volume, None, {}) == overview_figure(volume, None, {})
