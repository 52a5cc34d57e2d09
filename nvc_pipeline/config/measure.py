"""Settings of the measure stage: the clinical thresholds."""

from __future__ import annotations

from pydantic import Field

from nvc_pipeline.config.base import Section


class ZoneConfig(Section):
    """Borders of the zones by arc length s from the root detachment point, mm."""

    attached_from_mm: float
    detachment_from_mm: float
    detachment_to_mm: float
    transition_to_mm: float
    attached_length_min_mm: float = Field(gt=0)
    attached_length_max_mm: float = Field(gt=0)
    corridor_half_width_mm: float = Field(gt=0)


class GradeConfig(Section):
    """From geometry to a grade."""

    contact_floor_mm: float = Field(gt=0)
    contact_per_voxel: float = Field(gt=0)
    proximity_limit_mm: float = Field(gt=0)
    pons_indentation_mm: float = Field(gt=0)
    pons_indentation_sigmas: float = Field(gt=0)
    nerve_area_ratio: float = Field(gt=0, lt=1)
    area_ratio_sigmas: float = Field(gt=0)
    deviation_mm: float = Field(gt=0)
    deviation_sigmas: float = Field(gt=0)
    pressing_gap_mm: float = Field(ge=0)


class FitConfig(Section):
    """The fit of tubes and of the pontine surface to the voxels. Brightness is in units of fluid."""

    prefilter_fwhm_voxels: float = Field(ge=0)
    psf_fwhm_voxels: float = Field(gt=0)
    psf_log_sd: float = Field(gt=0)
    dark_brightness: float = Field(ge=0, lt=1)
    dark_brightness_sd: float = Field(gt=0)
    fluid_gradient: float = Field(gt=0)
    curve_step_mm: float = Field(gt=0)
    knot_mm: float = Field(gt=0)
    shift_mm: float = Field(gt=0)
    bend_mm: float = Field(gt=0)
    radius_mm: float = Field(gt=0)
    radius_step_mm: float = Field(gt=0)
    flattening: float = Field(gt=0)
    flattening_step: float = Field(gt=0)
    sheet_knot_mm: float = Field(gt=0)
    sheet_bend_mm: float = Field(gt=0)
    sheet_shift_mm: float = Field(gt=0)
    sheet_half_length_mm: float = Field(gt=0)
    sheet_half_width_mm: float = Field(gt=0)
    reach_mm: float = Field(gt=0)
    reach_voxels: float = Field(gt=0)
    end_margin_mm: float = Field(ge=0)
    vessel_window_mm: float = Field(gt=0)
    vessel_window_max_mm: float = Field(gt=0)
    vessel_beyond_mm: float = Field(ge=0)
    follow_gap_mm: float = Field(gt=0)
    nerve_window_mm: float = Field(gt=0)
    neighbour_mm: float = Field(gt=0)
    neighbours_max: int = Field(ge=0)
    root_overlap_mm: float = Field(ge=0)
    sheet_until_mm: float
    profile_mm: float = Field(gt=0)
    passes: int = Field(ge=1)
    iterations: int = Field(ge=1)
    damping: float = Field(gt=0)
    step_limit_mm: float = Field(gt=0)
    step_stop_mm: float = Field(gt=0)
    cost_stop: float = Field(gt=0)
    robust_sigmas: float = Field(gt=0)
    noise_floor: float = Field(gt=0)
    all_fluid_fraction: float = Field(gt=0, lt=1)
    dark_fraction: float = Field(gt=0, lt=1)
    foreign_sigmas: float = Field(gt=0)
    foreign_reach_voxels: float = Field(ge=0)
    contrast_to_noise_min: float = Field(gt=0)


class IntervalConfig(Section):
    """How uncertainty is propagated."""

    draws: int = Field(ge=20)
    seed: int
    covariance_scale: float = Field(gt=0)
    gap_scatter_scale: float = Field(gt=0)
    model_sd_mm: float = Field(ge=0)
    radius_model_sd_mm: float = Field(ge=0)
    overlap_mm: float = Field(gt=0)
    psf_sd_voxels: float = Field(ge=0)
    psf_log_narrow: float
    psf_log_wide: float
    attached_sd_mm: float = Field(ge=0)
    corridor_ends_scale: float = Field(ge=0)
    corridor_sd_mm: float = Field(ge=0)
    unseen_exit_sd_mm: float = Field(ge=0)
    residual_reach_mm: float = Field(gt=0)
    residual_scale: float = Field(ge=0)
    residual_max_mm: float = Field(gt=0)
    disagreement_scale: float = Field(ge=0)
    disagreement_from_mm: float = Field(ge=0)
    disagreement_max_mm: float = Field(gt=0)
    crowd_mm: float = Field(gt=0)
    crowd_sd_mm: float = Field(ge=0)
    open_end_mm: float = Field(gt=0)
    wide_blur_scale: float = Field(ge=0)
    wide_blur_from: float = Field(ge=0)


class DeformationConfig(Section):
    """Windows along the nerve for thinning, displacement and dent."""

    section_near_mm: float = Field(gt=0)
    section_clear_mm: float = Field(ge=0)
    reference_from_mm: float = Field(gt=0)
    reference_to_mm: float = Field(gt=0)
    ratio_model_sd: float = Field(ge=0)
    ratio_voxel_power: float = Field(ge=0)
    deviation_window_mm: float = Field(gt=0)
    deviation_window_small_mm: float = Field(gt=0)
    deviation_reach_mm: float = Field(gt=0)
    deviation_points: int = Field(ge=4)
    deviation_smooth_mm: float = Field(gt=0)
    natural_bend_sd_mm: float = Field(ge=0)
    deviation_natural_mm: float = Field(ge=0)
    deviation_hidden_mm: float = Field(ge=0)
    turn_mm_per_deg: float = Field(ge=0)
    turn_middle_mm: float
    turn_width_mm: float = Field(gt=0)
    dent_radius_mm: float = Field(gt=0)
    dent_core_mm: float = Field(gt=0)
    dent_reach_mm: float = Field(gt=0)
    dent_natural_sd_mm: float = Field(ge=0)
    dent_hidden_mm: float = Field(ge=0)
    dent_hidden_share: float = Field(ge=0)
    relief_reach_mm: float = Field(gt=0)
    imprint_along_mm: float = Field(gt=0)
    imprint_mean_mm: float = Field(gt=0)
    imprint_touch_mm: float = Field(gt=0)
    dent_mirror_sd_mm: float = Field(ge=0)
    dent_area_depth_mm: float = Field(gt=0)


class PatternConfig(Section):
    """From contacts to a pattern."""

    local_mm: float = Field(gt=0)
    loop_arm_mm: float = Field(gt=0)
    loop_turn_deg: float = Field(gt=0, le=180)
    sandwich_apart_mm: float = Field(gt=0)
    sandwich_angle_deg: float = Field(gt=0, le=180)


class CourseConfig(Section):
    """How vessels run: between the nerves, into the canal, off the midline (M14)."""

    strip_mm: float = Field(gt=0)
    vessel_sd_mm: float = Field(ge=0)
    eighth_sd_mm: float = Field(ge=0)
    canal_length_mm: float = Field(gt=0)
    canal_length_sd_mm: float = Field(ge=0)
    midplane_sd_mm: float = Field(ge=0)
    vertebral_symmetric_mm: float = Field(gt=0)
    vertebral_beyond_mm: float = Field(ge=0)


class ScoreConfig(Section):
    """Weights 0 to 100 of none, proximity, contact, indentation, deviation by zone."""

    susceptible: tuple[float, float, float, float, float]
    distal: tuple[float, float, float, float, float]


class MeasureConfig(Section):
    """All that turns traced anatomy into millimetres and grades."""

    zones: ZoneConfig
    grades: GradeConfig
    fit: FitConfig
    interval: IntervalConfig
    deformation: DeformationConfig
    pattern: PatternConfig
    course: CourseConfig
    score: ScoreConfig
    calibre_min_voxels: float = Field(gt=0)
    coarse_margin_mm: float = Field(ge=0)
    traced_gap_sd_mm: float = Field(gt=0)
    undecided_probability: float = Field(gt=0, lt=1)
    lost_reach_mm: float = Field(ge=0)
    landmark_sd_max_mm: float = Field(gt=0)
    cistern_margin_mm: float = Field(gt=0)
    report_vessels_within_mm: float = Field(gt=0)
