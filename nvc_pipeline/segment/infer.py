"""Stage two: probabilities and landmarks of both sides, or an honest "not found"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from nvc_pipeline.config.segment import SegmentConfig
from nvc_pipeline.domain.anatomy import ARTERIES, Landmark, Side, Structure
from nvc_pipeline.domain.case import Finding, Severity
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.errors import InputRefused
from nvc_pipeline.geometry import Affine, Points, Volume
from nvc_pipeline.segment.bundle import Bundle
from nvc_pipeline.segment.bundle_metadata import Calibration, LandmarkCalibration
from nvc_pipeline.segment.channels import ATTACHED_CHANNEL, EXCLUSIVE, LANDMARKS, LOCATED, SOFTMAX
from nvc_pipeline.segment.locate import Located, coarse_channels, coarse_grid, locate, nearness, peak_of
from nvc_pipeline.segment.network import LightUNet, build
from nvc_pipeline.segment.region import Float32Array, RegionSpec, channels, to_patient
from nvc_pipeline.segment.second_look import pool_arteries, without_cisternogram

_POSITION_SCALE_MM = 20.0
_WINDOWS_AT_ONCE = 2
"""Windows in one pass. With a single one on one thread PyTorch takes a convolution 2.7 times slower
(one core without bfloat16); four are no faster and need twice the memory."""
_CORE_MM = 10.0
"""Half the side of the box around the detachment point whose coverage decides: root, cistern, porus."""


def segment(
    cisternogram: Volume | None, tof: Volume | None, bundle: Bundle, config: SegmentConfig
) -> dict[Side, SideSegmentation]:
    """Find and segment both sides.

    Parameters
    ----------
    cisternogram:
        The metric space. Without it only arteries are looked for, on the TOF.
    tof:
        In the cisternogram's space (its affine maps to the same LPS), or None: then arteries are
        told from veins and nerves by course alone, with a finding that says so.
    bundle:
        From :func:`nvc_pipeline.segment.bundle.load_bundle`.
    config:
        Threads, thresholds, overlap of windows.

    Returns
    -------
    dict
        One result a side; ``found`` is False, with a reason, where the detachment point is not seen
        or too little of the region was scanned.

    Raises
    ------
    InputRefused
        ``segment.no_volume``: neither series was given.
    """
    places = place_sides(cisternogram, tof, bundle, config)
    with _quiet_torch(config.threads):
        fine = _network(bundle, "fine")
        return {side: _side(side, places[side], cisternogram, tof, bundle, fine, config) for side in Side}


def place_sides(
    cisternogram: Volume | None, tof: Volume | None, bundle: Bundle, config: SegmentConfig
) -> dict[Side, dict[Landmark, Located]]:
    """Run stage one alone; arguments and errors as :func:`segment`."""
    reference = cisternogram if cisternogram is not None else tof
    if reference is None:
        raise InputRefused(
            "segment.no_volume",
            "Neither a cisternogram nor a TOF was given",
            remedy="give a study with at least one of them",
        )
    with _quiet_torch(config.threads):
        affine, shape = coarse_grid(reference, bundle.metadata.locator_spacing_mm)
        images = coarse_channels(cisternogram, tof, affine, shape)
        return locate(images, affine, _network(bundle, "locator"))


def fine_inputs(
    cisternogram: Volume | None, tof: Volume | None, spec: RegionSpec, affine: Affine
) -> Float32Array:
    """Return the fine network's input, shape (7, I, J, K), on a region's canonical grid."""
    stack = channels(cisternogram, tof, affine, spec.shape)
    position = (spec.positions_mm() / _POSITION_SCALE_MM).astype(np.float32)
    return np.concatenate([stack, position])


def run_fine(inputs: Float32Array, network: nn.Module, patch: int, overlap: float) -> Float32Array:
    """Return logits, shape (FINE_OUT, I, J, K), from overlapping windows with Gaussian weights."""
    with torch.inference_mode():
        logits: Any = sliding_window_inference(
            torch.from_numpy(inputs)[None],
            (patch,) * 3,
            _WINDOWS_AT_ONCE,
            network,
            overlap=overlap,
            mode="gaussian",
            sigma_scale=0.2,
        )
    return np.asarray(logits[0].numpy(), dtype=np.float32)


def run_twice(
    first: Float32Array, inputs: Float32Array, network: nn.Module, patch: int, overlap: float
) -> Float32Array:
    """Return the first look's logits with the arteries of a look at TOF alone pooled in, if there is TOF."""
    covered = without_cisternogram(inputs)
    if covered is None:
        return first
    return pool_arteries(first, run_fine(covered, network, patch, overlap), inputs[3])


def heatmaps(logits: Float32Array) -> Float32Array:
    """Return the landmarks' heatmaps, shape (3, I, J, K), 0 to 1."""
    return _sigmoid(logits[ATTACHED_CHANNEL + 1 :])


def probabilities(logits: Float32Array, calibration: Calibration) -> Float32Array:
    """Return calibrated probabilities, shape (SOFTMAX + 1, I, J, K), with the corridor last."""
    scale = np.asarray([*calibration.scale], dtype=np.float32)[:, None, None, None]
    bias = np.asarray([*calibration.bias], dtype=np.float32)[:, None, None, None]
    scaled = torch.from_numpy(logits[:SOFTMAX] * scale + bias)
    share = torch.softmax(scaled, dim=0).numpy()
    corridor = _sigmoid(logits[ATTACHED_CHANNEL] * calibration.attached_scale + calibration.attached_bias)
    return np.concatenate([share, corridor[None]])


def landmark_probability(peak: float, calibration: LandmarkCalibration) -> float:
    """Return the calibrated probability that a peak of this height is the landmark."""
    bounded = min(max(peak, 1e-4), 1 - 1e-4)
    score = calibration.intercept + calibration.slope * float(np.log(bounded / (1 - bounded)))
    return float(_sigmoid(np.asarray(score)))


def _side(
    side: Side,
    places: Mapping[Landmark, Located],
    cisternogram: Volume | None,
    tof: Volume | None,
    bundle: Bundle,
    network: nn.Module,
    config: SegmentConfig,
) -> SideSegmentation:
    metadata = bundle.metadata
    spec = metadata.region.spec()
    place = places[Landmark.ROOT_DETACHMENT_POINT]
    sure = landmark_probability(place.peak, metadata.calibration.locator[0])
    if sure < min(config.try_from_probability, config.min_landmark_probability):
        return _not_found(side, _unseen(sure), "segment.not_found")
    affine = spec.affine(place.lps, side)
    inputs = fine_inputs(cisternogram, tof, spec, affine)
    coverage = _coverage(inputs, spec, cisternogram is not None)
    if coverage < config.min_coverage:
        reason = f"only {coverage:.0%} of the 2 cm around the nerve's root was scanned"
        return _not_found(side, reason, "segment.coverage")
    patch, overlap = metadata.fine.patch, config.window_overlap
    logits = run_fine(inputs, network, patch, overlap)
    seen = _landmarks(heatmaps(logits), affine, places, metadata.calibration, config).get(
        Landmark.ROOT_DETACHMENT_POINT
    )
    if seen is not None and seen.probability < config.min_landmark_probability:
        seen = None  # Too faint to be a ground for anything but a mark with a wide SD.
    if seen is None and sure < config.min_landmark_probability:
        # A faint place that the fine network doesn't confirm either.
        return _not_found(side, _unseen(sure), "segment.not_found")
    if seen is not None and np.linalg.norm(seen.point.xyz[0] - place.lps) > config.replace_beyond_mm:
        # The fine network knows better; its region, and the positions that it reads, move there once.
        affine = spec.affine(seen.point.xyz[0], side)
        inputs = fine_inputs(cisternogram, tof, spec, affine)
        logits = run_fine(inputs, network, patch, overlap)
    heat = heatmaps(logits)
    shares = probabilities(run_twice(logits, inputs, network, patch, overlap), metadata.calibration)
    known = inputs[2:4].max(axis=0) > 0
    frame = next(v.frame_of_reference for v in (cisternogram, tof) if v is not None)
    wanted: tuple[Structure, ...] = (*EXCLUSIVE, Structure.ATTACHED_SEGMENT)
    if cisternogram is None:
        wanted = ARTERIES
    # Nothing is claimed where nothing was scanned.
    volumes = {
        s: to_patient((shares[_channel(s)] * known).astype(np.float32), affine, side, frame) for s in wanted
    }
    landmarks = (
        _landmarks(heat * known, affine, places, metadata.calibration, config)
        if cisternogram is not None
        else {}
    )
    findings = tuple(_findings(side, cisternogram, tof, coverage, landmarks))
    return SideSegmentation(side, True, "", volumes, landmarks, findings)


def _unseen(probability: float) -> str:
    return f"the nerve's root was not found (probability {probability:.2f})"


def _coverage(inputs: Float32Array, spec: RegionSpec, cisternogram: bool) -> float:
    """Share of the box around the detachment point that the leading series reaches."""
    core = np.abs(spec.positions_mm()).max(axis=0) < _CORE_MM
    return float(inputs[2 if cisternogram else 3][core].mean())


def _landmarks(
    heat: Float32Array,
    affine: Affine,
    places: Mapping[Landmark, Located],
    calibration: Calibration,
    config: SegmentConfig,
) -> dict[Landmark, LandmarkEstimate]:
    """Return the landmarks that were found, each where both stages together put it."""
    near: dict[Landmark, Float32Array] = {}
    _, i, j, k = heat.shape
    for landmark, calibrated in zip(LOCATED, calibration.locator, strict=True):
        place = places[landmark]
        sure = landmark_probability(place.peak, calibrated)
        near[landmark] = nearness(affine, (i, j, k), place.lps, sure, config.locator_sd_mm)
    out: dict[Landmark, LandmarkEstimate] = {}
    for landmark, heatmap, calibrated in zip(LANDMARKS, heat, calibration.fine, strict=True):
        ijk, peak = peak_of(heatmap, radius=5, near=near.get(landmark))
        sure = landmark_probability(peak, calibrated)
        if sure >= _least(landmark, config):
            # The calibrated SD is that of landmarks that were found; one that may well be none is vaguer.
            sd = calibrated.sd_mm / max(peak * min(1.0, 2.0 * sure), 0.05)
            if landmark is Landmark.ROOT_EXIT_POINT:
                sd = max(sd, config.least_exit_sd_mm)
            out[landmark] = LandmarkEstimate(Points(affine.apply(ijk)), float(sd), sure)
    return out


def _least(landmark: Landmark, config: SegmentConfig) -> float:
    """Return the probability from which on a landmark is given."""
    exit_point = landmark is Landmark.ROOT_EXIT_POINT
    return config.min_exit_probability if exit_point else config.min_faint_probability


def _findings(
    side: Side,
    cisternogram: Volume | None,
    tof: Volume | None,
    coverage: float,
    landmarks: Mapping[Landmark, LandmarkEstimate],
) -> Iterator[Finding]:
    def warn(code: str, message: str) -> Finding:
        return Finding(code=code, severity=Severity.WARNING, message=message, side=side)

    if cisternogram is None:
        yield warn("segment.no_cisternogram", "No cisternogram: only arteries were looked for.")
        return
    if tof is None:
        yield warn("segment.no_tof", "No TOF: arteries are told from veins and nerves by their course alone.")
    if coverage < 0.9:
        yield warn(
            "segment.coverage", f"Only {coverage:.0%} of the 2 cm around the nerve's root was scanned."
        )
    for landmark in LANDMARKS:
        if landmark not in landmarks:
            name = landmark.value.replace("_", " ")
            yield warn("segment.landmark_not_found", f"The {name} was not found.")


def _not_found(side: Side, reason: str, code: str) -> SideSegmentation:
    finding = Finding(
        code=code, severity=Severity.WARNING, message=reason[0].upper() + reason[1:] + ".", side=side
    )
    return SideSegmentation(side, False, reason, {}, {}, (finding,))


def _channel(structure: Structure) -> int:
    return ATTACHED_CHANNEL if structure is Structure.ATTACHED_SEGMENT else EXCLUSIVE.index(structure) + 1


def _network(bundle: Bundle, part: str) -> LightUNet:
    metadata = bundle.metadata.locator if part == "locator" else bundle.metadata.fine
    network = build(metadata.spec())
    state: dict[str, Tensor] = {k: torch.from_numpy(np.array(v)) for k, v in bundle.part(part).items()}
    network.load_state_dict(state)
    network.eval()
    return network


def _sigmoid(x: npt.NDArray[Any]) -> Float32Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float32)


@contextmanager
def _quiet_torch(threads: int) -> Iterator[None]:
    """Set threads and determinism for the block, then put back what was."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic)
