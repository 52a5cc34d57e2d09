"""Pictures of the report: slices through a contact, an overview, the gap along the nerve."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nvc_pipeline.config.measure import ZoneConfig
from nvc_pipeline.domain.anatomy import Side, VesselClass
from nvc_pipeline.domain.case import Contact, SideReport
from nvc_pipeline.geometry import LabelVolume, Volume
from nvc_pipeline.report.slices import Plane, Slice, cut

# Okabe and Ito 2008: eight colours that colour-blind eyes tell apart.
COLOURS: Mapping[str, str] = {
    "facial_nerve": "#F0E442",
    "vestibulocochlear_nerve": "#56B4E9",
    "attached_segment": "#F0E442",
    "brainstem": "#999999",
    "AICA": "#D55E00",
    "PICA": "#CC79A7",
    "VA": "#E69F00",
    "BA": "#E69F00",
    "SCA": "#CC79A7",
    "artery": "#D55E00",
    "vein": "#0072B2",
    "unknown": "#009E73",
}
_BACKGROUND, _INK = "#0b0f14", "#f4f6f8"


def side_figure(
    side: Side, report: SideReport, cisternogram: Volume, tof: Volume | None, labels: LabelVolume | None
) -> bytes:
    """Return a PNG of one side: slices through its contact in three planes, and the TOF's.

    The picture's centre is the middle of the closest points of nerve and vessel, or the root
    detachment point where no vessel is near.
    """
    centre = focus(report)
    panels: list[tuple[str, Volume, Plane]] = [
        ("Cisternogram, axial", cisternogram, Plane.AXIAL),
        ("Cisternogram, coronal", cisternogram, Plane.CORONAL),
        ("Cisternogram, sagittal", cisternogram, Plane.SAGITTAL),
    ]
    if tof is not None:
        panels.insert(1, ("TOF, axial", tof, Plane.AXIAL))
    figure = Figure(figsize=(7.2, 7.6), dpi=130, facecolor=_BACKGROUND)
    for index, (title, volume, plane) in enumerate(panels):
        axes = figure.add_subplot(2, 2, index + 1)
        picture = cut(volume, plane, centre, 14.0)
        _draw(axes, picture, title, scale_mm=5)
        if labels is not None:
            _outline(axes, labels, picture)
        _lines(axes, report, picture)
        _mark(axes, report, picture)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.955, bottom=0.01, wspace=0.02, hspace=0.09)
    return _png(figure, f"{side.value} side")


def overview_figure(cisternogram: Volume, tof: Volume | None, reports: Mapping[Side, SideReport]) -> bytes:
    """Return a PNG of the whole axial slice at the level of the root detachment points, both sides marked."""
    marks = {s: focus(r) for s, r in reports.items() if r.nerve is not None}
    middle = np.asarray(cisternogram.affine.apply((np.asarray(cisternogram.shape) - 1) / 2))
    centre = middle if not marks else np.mean(list(marks.values()), axis=0)
    if len(marks) == 1:
        centre[0] = middle[0]
    volumes = [("Cisternogram", cisternogram)] + ([("TOF angiogram", tof)] if tof is not None else [])
    figure = Figure(figsize=(4.6 * len(volumes), 4.9), dpi=110, facecolor=_BACKGROUND)
    for index, (title, volume) in enumerate(volumes):
        axes = figure.add_subplot(1, len(volumes), index + 1)
        picture = cut(volume, Plane.AXIAL, centre, 48.0, pixels=380)
        _draw(axes, picture, f"{title}, axial", scale_mm=20)
        for point in marks.values():
            x, y = picture.project(point)[0]
            axes.plot(x, y, "o", ms=16, mfc="none", mec=COLOURS["facial_nerve"], mew=1.3)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.02, wspace=0.03)
    return _png(figure, "overview")


def vessel_figure(tof: Volume) -> bytes:
    """Return a PNG of TOF maximum projections, axial and coronal, for a study without cisternogram."""
    array = np.asarray(tof.canonical().array, dtype=np.float32)
    figure = Figure(figsize=(9.2, 4.9), dpi=110, facecolor=_BACKGROUND)
    spacing = tof.canonical().spacing_mm
    for index, (title, axis, letters) in enumerate((("axial", 2, "RLAP"), ("coronal", 1, "RLSI"))):
        axes = figure.add_subplot(1, 2, index + 1)
        flat = array.max(axis=axis).T
        flat = flat if axis == 2 else flat[::-1]
        width, height = array.shape[0] * spacing[0] / 2, flat.shape[0] * spacing[3 - axis] / 2
        axes.imshow(
            flat, cmap="gray", extent=(-width, width, height, -height), vmax=float(np.percentile(flat, 99.7))
        )
        _dress(axes, f"TOF projection, {title}", letters, width, height, scale_mm=20)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.92, bottom=0.02, wspace=0.03)
    return _png(figure, "vessels")


def gap_figure(report: SideReport, zones: ZoneConfig) -> bytes:
    """Return a PNG of the gap of each vessel against its place along the nerve, with 95 % intervals."""
    figure = Figure(figsize=(7.4, 2.5), dpi=120, facecolor="white")
    axes = figure.add_subplot()
    bands = [
        (-9.0, zones.attached_from_mm, "exit"),
        (zones.attached_from_mm, zones.detachment_from_mm, "attached"),
        (zones.detachment_from_mm, zones.detachment_to_mm, "detach."),
        (zones.detachment_to_mm, zones.transition_to_mm, "transition"),
        (zones.transition_to_mm, 14.0, "distal"),
    ]
    for index, (low, high, name) in enumerate(bands):
        axes.axvspan(low, high, color="#eef2f6" if index % 2 else "#dfe6ee", lw=0)
        axes.text((low + high) / 2, 0.97, name, ha="center", va="top", fontsize=7, color="#44515e",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    for contact in report.contacts:
        gap, place = contact.gap_mm.bounds(), contact.arc_length_mm.bounds()
        if gap is None or place is None:
            continue
        axes.errorbar(
            place[0], gap[0], fmt="o", ms=5, capsize=3, color=COLOURS[contact.vessel_class.value],
            yerr=[[max(gap[0] - gap[1], 0)], [max(gap[2] - gap[0], 0)]],
            xerr=[[max(place[0] - place[1], 0)], [max(place[2] - place[0], 0)]],
            label=contact.vessel_id.replace("_", " "),
        )  # fmt: skip
    axes.axhline(0, color="#44515e", lw=0.8)
    axes.set_xlim(-9, 14)
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(bottom, -0.3), max(top, 1.2) * 1.15)
    axes.set_xlabel("mm along the nerve from the root detachment point", fontsize=8)
    axes.set_ylabel("gap, mm", fontsize=8)
    axes.tick_params(labelsize=7)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="center right", framealpha=0.9)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.97, bottom=0.2)
    return _png(figure, "gap along the nerve")


def focus(report: SideReport) -> np.ndarray:
    """Return the LPS point that a side's pictures are centred on, shape (3,)."""
    if report.contacts:
        contact = report.contacts[0]
        return np.mean([contact.nearest_on_nerve_lps_mm, contact.nearest_on_vessel_lps_mm], axis=0)  # type: ignore[no-any-return]
    assert report.nerve is not None
    return np.asarray(report.nerve.root_detachment_point_lps_mm, dtype=float)


def _draw(axes: Axes, picture: Slice, title: str, scale_mm: int) -> None:
    half = picture.half_width_mm
    low, high = np.percentile(picture.pixels, [0.5, 99.7])
    axes.imshow(
        picture.pixels, cmap="gray", vmin=low, vmax=max(high, low + 1), extent=(-half, half, half, -half),
        interpolation="bilinear",
    )  # fmt: skip
    _dress(axes, title, picture.letters, half, half, scale_mm)


def _dress(axes: Axes, title: str, letters: str, width: float, height: float, scale_mm: int) -> None:
    axes.set_title(title, color=_INK, fontsize=9, pad=4)
    places = ((0.025, 0.5), (0.975, 0.5), (0.5, 0.965), (0.5, 0.035))
    for letter, (x, y) in zip(letters, places, strict=True):
        axes.text(
            x, y, letter, color=_INK, fontsize=11, weight="bold", ha="center", va="center",
            transform=axes.transAxes, bbox={"facecolor": "black", "alpha": 0.45, "pad": 1.5, "lw": 0},
        )  # fmt: skip
    x0, y0 = -0.88 * width, 0.86 * height
    axes.plot([x0, x0 + scale_mm], [y0, y0], color=_INK, lw=2, solid_capstyle="butt")
    axes.text(x0, y0 - 0.04 * height, f"{scale_mm} mm", color=_INK, fontsize=7, va="bottom")
    axes.set_xlim(-width, width)
    axes.set_ylim(height, -height)
    axes.set_axis_off()


def _outline(axes: Axes, labels: LabelVolume, picture: Slice) -> None:
    flat = cut(
        labels,
        picture.plane,
        picture.centre_lps,
        picture.half_width_mm,
        pixels=picture.pixels.shape[0],
        order=0,
    ).pixels
    half = picture.half_width_mm
    ticks = (np.arange(flat.shape[0]) + 0.5) / flat.shape[0] * 2 * half - half
    for index, name in labels.names.items():
        mask = np.rint(flat) == index
        if mask.any() and not mask.all():
            colour = COLOURS.get(_plain(name), "#ffffff")
            thin = 0.7 if name == "brainstem" else 1.1
            axes.contour(ticks, ticks, mask.astype(float), levels=[0.5], colors=[colour], linewidths=thin)


def _plain(name: str) -> str:
    return name.removesuffix("_left").removesuffix("_right")


def _lines(axes: Axes, report: SideReport, picture: Slice) -> None:
    if report.nerve is not None:
        path = [*report.nerve.attached_segment_lps_mm, *report.nerve.centreline_lps_mm]
        _line(axes, path, picture, COLOURS["facial_nerve"])


def _line(axes: Axes, path: Sequence[Any], picture: Slice, colour: str) -> None:
    near = np.abs(picture.depth_mm(path)) < 1.0
    flat = picture.project(path)
    flat[~near] = np.nan
    axes.plot(flat[:, 0], flat[:, 1], color=colour, lw=1.0, ls=":")


def _mark(axes: Axes, report: SideReport, picture: Slice) -> None:
    if not report.contacts:
        return
    contact: Contact = report.contacts[0]
    ends = picture.project([contact.nearest_on_nerve_lps_mm, contact.nearest_on_vessel_lps_mm])
    axes.plot(ends[:, 0], ends[:, 1], color=_INK, lw=0.8)
    x, y = ends.mean(axis=0)
    axes.plot(x, y, "o", ms=15, mfc="none", mec=_INK, mew=1.0)
    name = contact.vessel_class.value if contact.vessel_class is not VesselClass.UNKNOWN else "vessel?"
    axes.annotate(name, (x, y), xytext=(12, 10), textcoords="offset points", color=_INK, fontsize=8)


def _png(figure: Figure, title: str) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software name and no date, so that equal pictures have equal bytes.
    figure.savefig(
        buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None, "Title": title}
    )
    return buffer.getvalue()
