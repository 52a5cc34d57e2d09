"""Settings of the trace stage."""

from __future__ import annotations

from pydantic import Field, model_validator

from nvc_pipeline.config.base import Positive, Section


class FluidConfig(Section):
    """What the cisternogram's intensities say of fluid and tissue."""

    fluid_fraction: float = Field(gt=0, lt=1)
    shading_mm: float = Field(gt=0)
    shading_prior: float = Field(gt=0, le=1)
    noise_floor: float = Field(ge=0, lt=1)
    gate_blur_mm: float = Field(gt=0)
    gate_gain: float = Field(gt=0)


class NerveTraceConfig(Section):
    """From the facial nerve's probability to a centreline between the landmarks."""

    seed_probability: float = Field(gt=0, lt=1)
    support_probability: float = Field(gt=0, lt=1)
    cost_floor: float = Field(gt=0, lt=1)
    knot_spacing_mm: float = Field(gt=0, le=1)
    step_mm: float = Field(gt=0, le=0.5)
    smoothing_length_mm: float = Field(gt=0)
    radius_smoothing_length_mm: float = Field(gt=0)
    expected_radius_mm: float = Field(gt=0)
    min_radius_mm: float = Field(gt=0)
    max_radius_mm: float = Field(gt=0)
    min_length_mm: float = Field(gt=0)
    max_length_mm: float = Field(gt=0)
    min_supported_fraction: float = Field(gt=0, lt=1)
    max_gap_mm: float = Field(gt=0)
    landmark_probability: float = Field(gt=0, lt=1)
    exit_probability: float = Field(gt=0, lt=1)
    landmark_reach_sigmas: float = Field(gt=0)
    landmark_reach_floor_mm: float = Field(gt=0)
    canal_min_mm: float = Field(gt=0)
    canal_max_mm: float = Field(gt=0)
    centreline_sd_floor_mm: float = Field(gt=0)


class FollowConfig(Section):
    """Where the network lost the nerve between its ends: what of the image it is followed on."""

    discount: float = Field(gt=0, lt=1)
    margin_mm: float = Field(gt=0)
    step_mm: float = Field(gt=0, le=0.5)
    least_mm: float = Field(gt=0)
    least_darkness: float = Field(gt=0, lt=1)
    fluid: float = Field(gt=0, lt=1)
    fluid_mm: float = Field(gt=0)
    radius_mm: float = Field(gt=0)


class EighthConfig(Section):
    """The vestibulocochlear nerve, the facial nerve's neighbour."""

    expected_radius_mm: float = Field(gt=0)
    max_radius_mm: float = Field(gt=0)
    min_length_mm: float = Field(gt=0)


class DetachmentConfig(Section):
    """Where the nerve leaves the pons: the definition and the landmark, joined."""

    free_fraction: float = Field(gt=0, lt=1)
    lift_fraction: float = Field(gt=0, lt=1)
    clear_fraction: float = Field(gt=0, lt=1)
    around_fraction: float = Field(gt=0, le=1)
    least_slope: float = Field(gt=0)
    ring_margin_mm: float = Field(ge=0)
    sustained_mm: float = Field(gt=0)
    search_mm: float = Field(gt=0)
    definition_sd_mm: float = Field(gt=0)
    definition_offset_mm: float
    disagreement_mm: float = Field(gt=0)
    fallback_sd_mm: float = Field(gt=0)


class PorusConfig(Section):
    """Where the nerve enters the bone, when the landmark was not seen."""

    ring_mm: float = Field(gt=0)
    window_mm: float = Field(gt=0)
    least_mm: float = Field(ge=0)
    closed_fraction: float = Field(gt=0, lt=1)
    least_drop: float = Field(gt=0, lt=1)
    sd_mm: float = Field(gt=0)
    default_cisternal_mm: float = Field(gt=0)


class PonsConfig(Section):
    """The surface of the pons about the corridor."""

    patch_radius_mm: float = Field(gt=0)
    profile_half_mm: float = Field(gt=0)
    max_shift_mm: float = Field(gt=0)
    min_contrast: float = Field(gt=0)
    smoothing_rounds: int = Field(ge=0, le=100)
    foreign_probability: float = Field(gt=0, lt=1)


class ReliefConfig(Section):
    """How a ridge of the pons is looked for."""

    directions: int = Field(ge=4)
    middle_mm: float = Field(gt=0)
    inner_mm: float = Field(gt=0)
    outer_mm: float = Field(gt=0)
    slab_mm: float = Field(gt=0)
    normal_neighbours: int = Field(ge=3)


class ExitPointConfig(Section):
    """Where the root exit point may lie on the pons."""

    mean_mm: tuple[float, float, float]
    sd_mm: tuple[Positive, Positive, Positive]
    correlation: tuple[float, float, float]
    nearest_mm: float = Field(gt=0)
    farthest_mm: float = Field(gt=0)
    candidate_mm: float = Field(gt=0)
    unlikely_log: float = Field(gt=0)
    end_probability: float = Field(gt=0, lt=1)
    end_sd_mm: float = Field(gt=0)
    turn_deg: float = Field(ge=0)
    turn_sd_deg: float = Field(gt=0)
    ridge_probability: float = Field(gt=0, lt=1)
    ridge_mm: float = Field(gt=0)
    relief_sd_mm: float = Field(gt=0)
    relief_length_mm: float = Field(gt=0)
    bow_mm: float = Field(gt=0)
    relief: ReliefConfig

    @model_validator(mode="after")
    def _sound(self) -> ExitPointConfig:
        a, b, c = self.correlation
        if 1 + 2 * a * b * c - a * a - b * b - c * c <= 0 or max(abs(a), abs(b), abs(c)) >= 1:
            msg = "correlation is that of no three quantities"
            raise ValueError(msg)
        if self.nearest_mm >= self.farthest_mm:
            msg = "nearest_mm must be less than farthest_mm"
            raise ValueError(msg)
        return self


class CorridorConfig(Section):
    """The attached segment as a path on the pons."""

    smoothing_length_mm: float = Field(gt=0)
    step_mm: float = Field(gt=0, le=0.5)


class VesselTraceConfig(Section):
    """From vessel probabilities to a graph of centrelines."""

    seed_probability: float = Field(gt=0, lt=1)
    grow_probability: float = Field(gt=0, lt=1)
    noise_floor: float = Field(ge=0, lt=1)
    hidden_reach_mm: float = Field(ge=0)
    class_smoothing_mm: float = Field(gt=0)
    min_length_mm: float = Field(gt=0)
    min_voxels: int = Field(ge=1)
    prune_radii: float = Field(ge=0)
    prune_floor_mm: float = Field(ge=0)
    bridge_mm: float = Field(gt=0)
    tangent_mm: float = Field(gt=0)
    max_gap_mm: float = Field(gt=0)
    max_turn_deg: float = Field(gt=0, lt=180)
    max_radius_ratio: float = Field(gt=1)
    other_class_penalty: float = Field(ge=0)
    overlap_mm: float = Field(ge=0)
    through_reach_mm: float = Field(ge=0)
    through_length_mm: float = Field(gt=0)
    through_nerve: float = Field(ge=0, le=1)
    through_tof: float = Field(ge=0, le=1)
    through_evidence: float = Field(ge=0, le=1)
    through_seen: float = Field(ge=0, le=1)
    through_unlike: float = Field(ge=0, le=1)
    parallel_fraction: float = Field(gt=0, lt=1)
    smoothing_length_mm: float = Field(gt=0)
    radius_smoothing_length_mm: float = Field(gt=0)
    knot_spacing_mm: float = Field(gt=0)
    step_mm: float = Field(gt=0, le=0.5)
    min_radius_mm: float = Field(gt=0)
    max_radius_mm: float = Field(gt=0)
    connection_mm: float = Field(gt=0)
    junction_mm: float = Field(gt=0)


class NamingConfig(Section):
    """Weights of the evidence for a vessel's name; natural logarithms of odds."""

    vote_weight: float = Field(ge=0)
    vote_floor: float = Field(gt=0, lt=1)
    connection_weight: float = Field(ge=0)
    calibre_weight: float = Field(ge=0)
    level_weight: float = Field(ge=0)
    large_radius_mm: float = Field(gt=0)
    sca_above_mm: float
    pica_below_mm: float
    tof_seen_weight: float = Field(ge=0)
    tof_unseen_weight: float = Field(ge=0)
    tof_unseen_radius_mm: float = Field(gt=0)
    tof_unseen_width_mm: float = Field(gt=0)
    rival_weight: float = Field(ge=0)
    rival_length_mm: float = Field(gt=0)
    unknown_floor: float = Field(gt=0, lt=1)
    undecided_margin: float = Field(gt=0, le=1)


class AngiographyConfig(Section):
    """What counts as inflowing blood on TOF."""

    tissue_sigmas: float = Field(gt=0)
    full_share: float = Field(gt=0, le=1)
    core_low: float = Field(ge=0, lt=1)
    core_high: float = Field(gt=0, le=1)
    contrast_sigmas: float = Field(gt=0)
    seen_fraction: float = Field(gt=0, lt=1)
    covered_fraction: float = Field(gt=0, lt=1)


class WitnessConfig(Section):
    """What speaks against the root, and what about the nerve is not understood."""

    root_sd_mm: float = Field(gt=0)
    off_pons_mm: float = Field(gt=0)
    lost_mm: float = Field(gt=0)
    lost_witnesses: int = Field(ge=1)
    attached_mm: float = Field(gt=0)
    attached_support: float = Field(ge=0, le=1)
    nerve_darkness: float = Field(ge=0, le=1)
    from_eighth_mm: float = Field(gt=0)
    landmark_probability: float = Field(ge=0, le=1)
    susceptible_mm: float = Field(ge=0)
    reach_mm: float = Field(gt=0)
    beside_vessel_mm: float = Field(ge=0)
    noise_floor: float = Field(ge=0, lt=1)
    vessel_reach_mm: float = Field(gt=0)
    vessel_probability: float = Field(gt=0, le=1)
    inflow_share: float = Field(gt=0, le=1)
    vessel_mm3: float = Field(gt=0)
    dark_fraction: float = Field(gt=0, le=1)
    dark_mm3: float = Field(gt=0)


class MirrorConfig(Section):
    """How far both sides' roots may be from symmetric."""

    asymmetry_mm: float = Field(gt=0)
    porus_weight: float = Field(ge=0)
    porus_limit_mm: float = Field(gt=0)
    pons_reach_mm: float = Field(gt=0)


class TraceConfig(Section):
    """Probabilities to centrelines, surfaces and names."""

    fluid: FluidConfig
    nerve: NerveTraceConfig
    follow: FollowConfig
    eighth: EighthConfig
    detachment: DetachmentConfig
    porus: PorusConfig
    pons: PonsConfig
    exit_point: ExitPointConfig
    corridor: CorridorConfig
    vessels: VesselTraceConfig
    naming: NamingConfig
    angiography: AngiographyConfig
    witness: WitnessConfig
    mirror: MirrorConfig
