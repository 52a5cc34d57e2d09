"""The label map says the right structure, on the right side, on an oblique grid too."""

import numpy as np
import pytest

from nvc_pipeline.domain.anatomy import Side, Structure
from nvc_pipeline.domain.segmentation import SideSegmentation
from nvc_pipeline.geometry import Affine, Points, Volume, axis_aligned_grid
from nvc_pipeline.segment.labelmap import label_map, label_table


def ball(centre, radius, affine, shape):
    grid = affine.apply(np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1))
    return Volume((np.linalg.norm(grid - centre, axis=-1) < radius).astype(np.float32), affine)


def side_of(side: Side) -> SideSegmentation:
    centre = np.array([side.sign_x * 14.0, 2.0, 3.0])
    affine, shape = axis_aligned_grid(centre, (20, 20, 20), 0.5)
    probabilities = {
        Structure.FACIAL_NERVE: ball(centre, 3.0, affine, shape),
        Structure.BRAINSTEM: ball(centre - [side.sign_x * 7.0, 0, 0], 3.0, affine, shape),
        Structure.ATTACHED_SEGMENT: ball(centre, 4.0, affine, shape),
    }
    return SideSegmentation(side, True, "", probabilities, {})


@pytest.fixture(name="oblique")
def oblique_reference() -> Volume:
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    flipped = turn @ np.diag([-1.0, 1.0, -1.0])
    spacing = np.array([0.6, 0.5, 0.8])
    shape = (120, 130, 60)
    origin = -flipped @ (spacing * (np.array(shape) - 1) / 2)
    return Volume(np.zeros(shape, np.float32), Affine.from_parts(origin, flipped, spacing), "1.2.3")


def test_structures_land_where_they_are_with_their_side(oblique: Volume) -> None:
    labels = label_map({side: side_of(side) for side in Side}, oblique)
    assert labels.same_grid(oblique)
    for side in Side:
        voxels = np.argwhere(labels.mask(f"facial_nerve_{side.value}"))
        centre = oblique.affine.apply(voxels).mean(axis=0)
        np.testing.assert_allclose(centre, [side.sign_x * 14.0, 2.0, 3.0], atol=0.15)
    both = oblique.affine.apply(np.argwhere(labels.mask("brainstem")))
    assert (both[:, 0] > 0).any()
    assert (both[:, 0] < 0).any()


def test_the_attached_segment_takes_no_voxel_from_the_others(oblique: Volume) -> None:
    assert not any("attached" in name for name in label_table().values())
    labels = label_map({Side.LEFT: side_of(Side.LEFT)}, oblique)
    volume = labels.mask("facial_nerve_left").sum() * np.prod(oblique.spacing_mm)
    assert volume == pytest.approx(4 / 3 * np.pi * 27, rel=0.06)


def test_nothing_is_labelled_where_the_reference_does_not_reach(oblique: Volume) -> None:
    far = Volume(oblique.array, Affine.from_parts([500, 500, 500], np.eye(3), [1, 1, 1]))
    assert not label_map({Side.LEFT: side_of(Side.LEFT)}, far).array.any()


def test_an_empty_segmentation_gives_an_empty_map(oblique: Volume) -> None:
    empty = SideSegmentation(Side.LEFT, False, "not found", {}, {})
    assert not label_map({Side.LEFT: empty}, oblique).array.any()
    assert len(Points(np.zeros((1, 3)))) == 1
