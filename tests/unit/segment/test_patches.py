"""Patches: a pure function of seed and step, aligned with their labels and landmarks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nvc_pipeline.config.loader import default_config_path
from nvc_pipeline.config.segment import load_train_config
from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.segment.channels import IGNORE, LABEL_OF
from nvc_pipeline.segment.losses import fine_loss
from nvc_pipeline.segment.patches import Deck, _turn, coarse_batch
from nvc_pipeline.segment.region import RegionSpec
from nvc_pipeline.segment.samples import coarse_sample, region_sample
from tests.unit.segment.toy import toy_case

SPEC = RegionSpec(0.8, (32.0, 32.0, 32.0), (4.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def augment():
    return load_train_config(default_config_path().parent / "train.yaml").augment


@pytest.fixture(scope="module")
def plain(augment):
    still = dict.fromkeys(type(augment).model_fields, 0.0)
    return augment.model_copy(update=still)


@pytest.fixture(scope="module")
def deck():
    case = toy_case(1)
    return Deck([region_sample(case, side, SPEC, 1.5) for side in Side], SPEC)


def test_the_same_seed_and_step_give_the_same_patch(deck, augment):
    for a, b in zip(deck.fine_batch(3, 11, 16, augment), deck.fine_batch(3, 11, 16, augment), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(deck.fine_batch(3, 11, 16, augment)[0], deck.fine_batch(3, 12, 16, augment)[0])


def test_without_augmentation_heat_and_positions_agree(deck, plain):
    for step in range(40):
        inputs, _, _, heat = deck.fine_batch(0, step, 24, plain)
        detachment = heat[0, 1]
        if float(detachment.max()) > 0.85:
            at = np.unravel_index(int(detachment.argmax()), detachment.shape)
            position = inputs[0, 4:, at[0], at[1], at[2]] * 20.0
            assert float(position.norm()) < 0.8
            break
    else:
        pytest.fail("no patch showed the detachment point")


def test_both_sides_look_alike_in_canonical_space(deck):
    left, right = deck.samples
    assert (left.label == right.label)[left.label != IGNORE].mean() > 0.97


def test_a_lost_series_is_zero_in_values_and_marked(deck, plain):
    inputs = deck.fine_batch(0, 0, 16, plain.model_copy(update={"lose_tof_p": 1.0}))[0]
    assert not inputs[0, 1].any()
    assert not inputs[0, 3].any()
    assert inputs[0, 0].any()


def test_augmented_patches_stay_finite(deck, augment):
    for step in range(25):
        inputs, label, attached, heat = deck.fine_batch(9, step, 16, augment)
        assert torch.isfinite(inputs).all()
        assert set(label.unique().tolist()) <= {*range(10), IGNORE}
        assert set(attached.unique().tolist()) <= {0, 1, IGNORE}
        logits = torch.zeros(1, 14, 16, 16, 16, requires_grad=True)
        loss = fine_loss(logits, label, attached, heat, 0.3)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()


def test_the_loss_is_least_at_the_truth(deck, plain):
    _, label, attached, heat = deck.fine_batch(0, 5, 16, plain)
    best = torch.full((1, 14, 16, 16, 16), -9.0)
    best.scatter_(1, torch.where(label == IGNORE, 0, label)[:, None], 9.0)
    best[:, 10] = torch.where(attached == 1, 9.0, -9.0)
    best[:, 11:] = torch.logit(heat.clamp(1e-4, 1 - 1e-4))
    other = best.roll(2, dims=2)
    assert fine_loss(best, label, attached, heat, 1.0) < 0.1 < fine_loss(other, label, attached, heat, 1.0)


def test_the_nerve_keeps_its_thickness():
    case = toy_case(1)
    sample = region_sample(case, Side.LEFT, SPEC, 1.5)
    voxels = (sample.label == LABEL_OF["facial_nerve"]).sum() * SPEC.spacing_mm**3
    truth = case.labels.mask("facial_nerve_left").sum() * np.prod(case.labels.spacing_mm)
    assert voxels == pytest.approx(truth, rel=0.15)


def test_the_coarse_view_marks_landmarks_only_where_seen(augment):
    sample = coarse_sample(toy_case(2, spacing_mm=1.5), 4.0)
    always = augment.model_copy(update={"crop_p": 1.0, "lose_tof_p": 1.0})
    seen = [coarse_batch([sample], 1, step, 64, always) for step in range(40)]
    peaks = [float(heat[0, 0].max()) for _, heat in seen]
    assert min(peaks) < 0.1 < 0.5 < max(peaks)
    for inputs, heat in seen:
        assert inputs.shape[2:] == heat.shape[2:]
        assert all(n % 8 == 0 for n in inputs.shape[2:])


def test_a_warped_coarse_view_takes_its_landmarks_along(plain):
    """A blob about each landmark lies about it afterwards too: labels that stay behind teach a blur."""
    warped = plain.model_copy(update={"locator_elastic_voxels": 1.5, "rotation_deg": 10.0, "scale": 0.1})
    shape = (40, 44, 32)
    marks = np.array([[24.0, 20.0, 14.0], [15.0, 25.0, 17.0]])
    axes = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    blobs = [np.exp(-sum((a - p) ** 2 for a, p in zip(axes, mark, strict=True)) / 8.0) for mark in marks]
    images = torch.from_numpy(np.stack([*blobs, np.ones(shape), np.ones(shape)]).astype(np.float32))
    moves = []
    for seed in range(12):
        turned, moved = _turn(images, marks, np.random.default_rng(seed), warped)
        for blob, mark in zip(turned.numpy()[:2], moved, strict=True):
            peak = np.unravel_index(int(blob.argmax()), shape)
            assert np.abs(np.asarray(peak) - mark).max() < 1.5
        moves.append(np.linalg.norm(moved - marks, axis=1).max())
    assert max(moves) > 2.0
