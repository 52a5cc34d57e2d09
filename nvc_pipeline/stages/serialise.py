"""Stage results to files and back, without loss.

A side's probabilities are one compressed ``.npz`` (uint16 steps of 1/65535, an affine, the
names); landmarks, centrelines and surfaces are JSON with points in LPS millimetres.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nvc_pipeline.domain.anatomy import Landmark, Side, Structure, VesselClass
from nvc_pipeline.domain.case import Finding
from nvc_pipeline.domain.segmentation import LandmarkEstimate, SideSegmentation
from nvc_pipeline.domain.traced import Centreline, FacialNerve, Mirror, Surface, TracedSide, Vessel
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import Affine, Plane, Points, Volume
from nvc_pipeline.store.atomic import write_bytes

_STEPS = 65535.0


def write_probabilities(path: Path, segmentation: SideSegmentation) -> None:
    """Write the probability volumes of one side; equal volumes give equal bytes."""
    arrays: dict[str, np.ndarray] = {}
    names = sorted(segmentation.probabilities)
    if names:
        first = segmentation.probabilities[names[0]]
        arrays["affine"] = first.affine.matrix
    for name in names:
        values = np.clip(segmentation.probabilities[name].array, 0.0, 1.0)
        arrays[f"p_{name.value}"] = np.round(values * _STEPS).astype(np.uint16)
    buffer = io.BytesIO()
    # numpy's own savez stamps the time of day into the archive; these entries carry none.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key in sorted(arrays):
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.ascontiguousarray(arrays[key]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, entry.getvalue())
    write_bytes(path, buffer.getvalue())


def read_probabilities(path: Path, frame_of_reference: str = "") -> dict[Structure, Volume]:
    """Read what :func:`write_probabilities` wrote.

    Raises
    ------
    UsageError
        ``input.damaged`` if the file is not such an archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "affine" not in archive:
                return {}
            affine = Affine(archive["affine"])
            return {
                Structure(key[2:]): Volume(
                    archive[key].astype(np.float32) / np.float32(_STEPS), affine, frame_of_reference
                )
                for key in archive.files
                if key.startswith("p_")
            }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            "input.damaged",
            "A probability file can't be read",
            where=path.name,
            remedy="run the segment stage again",
        ) from error


def segmentation_to_json(segmentation: SideSegmentation) -> dict[str, Any]:
    """Return all of a side's segmentation but its volumes."""
    return {
        "side": segmentation.side.value,
        "found": segmentation.found,
        "reason": segmentation.reason,
        "landmarks": {k.value: landmark_to_json(v) for k, v in segmentation.landmarks.items()},
        "findings": [f.model_dump(mode="json") for f in segmentation.findings],
    }


def segmentation_from_json(value: Any, probabilities: dict[Structure, Volume]) -> SideSegmentation:
    """Rebuild a side's segmentation from its JSON and its volumes."""
    return SideSegmentation(
        side=Side(value["side"]),
        found=bool(value["found"]),
        reason=value["reason"],
        probabilities=probabilities,
        landmarks={Landmark(k): landmark_from_json(v) for k, v in value["landmarks"].items()},
        findings=tuple(Finding.model_validate(f) for f in value["findings"]),
    )


def landmark_to_json(landmark: LandmarkEstimate) -> dict[str, Any]:
    """Return a landmark as JSON."""
    return {
        "lps_mm": rounded(landmark.point.xyz[0]),
        "sd_mm": round(float(landmark.sd_mm), 6),
        "probability": round(float(landmark.probability), 6),
        "by_reader": landmark.by_reader,
    }


def landmark_from_json(value: Any) -> LandmarkEstimate:
    """Rebuild a landmark."""
    return LandmarkEstimate(
        Points(np.asarray(value["lps_mm"])),
        value["sd_mm"],
        value["probability"],
        # Journals of earlier versions have no such entry.
        bool(value.get("by_reader", False)),
    )


def traced_to_json(traced: TracedSide) -> dict[str, Any]:
    """Return one traced side as JSON, points in LPS mm to a tenth of a micrometre."""
    return {
        "side": traced.side.value,
        "nerve": None if traced.nerve is None else _nerve_to_json(traced.nerve),
        "vessels": [_vessel_to_json(v) for v in traced.vessels],
        "pons": None if traced.pons is None else _surface_to_json(traced.pons),
        "eighth": None if traced.eighth is None else _centreline_to_json(traced.eighth),
        "mirror": None if traced.mirror is None else _mirror_to_json(traced.mirror),
        "reason": traced.reason,
        "findings": [f.model_dump(mode="json") for f in traced.findings],
    }


def traced_from_json(value: Any) -> TracedSide:
    """Rebuild a traced side."""
    side = Side(value["side"])
    return TracedSide(
        side=side,
        nerve=None if value["nerve"] is None else _nerve_from_json(side, value["nerve"]),
        vessels=tuple(_vessel_from_json(v) for v in value["vessels"]),
        pons=None if value["pons"] is None else _surface_from_json(value["pons"]),
        reason=value["reason"],
        findings=tuple(Finding.model_validate(f) for f in value["findings"]),
        # Absent from results of earlier versions.
        eighth=None if value.get("eighth") is None else _centreline_from_json(value["eighth"]),
        mirror=None if value.get("mirror") is None else _mirror_from_json(value["mirror"]),
    )


def rounded(values: Any) -> list[Any]:
    """Return floats rounded to 1e-4 (mm), as nested lists."""
    return np.round(np.asarray(values, dtype=np.float64), 4).tolist()  # type: ignore[no-any-return]


def _centreline_to_json(line: Centreline) -> dict[str, Any]:
    return {"lps_mm": rounded(line.points.xyz), "radius_mm": rounded(line.radius_mm)}


def _centreline_from_json(value: Any) -> Centreline:
    return Centreline(Points(np.asarray(value["lps_mm"])), np.asarray(value["radius_mm"]))


def _optional(landmark: LandmarkEstimate | None) -> dict[str, Any] | None:
    return None if landmark is None else landmark_to_json(landmark)


def _nerve_to_json(nerve: FacialNerve) -> dict[str, Any]:
    return {
        "free": _centreline_to_json(nerve.free),
        "attached_lps_mm": rounded(nerve.attached.xyz),
        "exit_point": _optional(nerve.exit_point),
        "detachment": landmark_to_json(nerve.detachment),
        "porus": _optional(nerve.porus),
        "centreline_sd_mm": round(nerve.centreline_sd_mm, 6),
        "canal": None if nerve.canal is None else _centreline_to_json(nerve.canal),
    }


def _nerve_from_json(side: Side, value: Any) -> FacialNerve:
    return FacialNerve(
        side=side,
        free=_centreline_from_json(value["free"]),
        attached=Points(np.asarray(value["attached_lps_mm"]).reshape(-1, 3)),
        exit_point=None if value["exit_point"] is None else landmark_from_json(value["exit_point"]),
        detachment=landmark_from_json(value["detachment"]),
        porus=None if value["porus"] is None else landmark_from_json(value["porus"]),
        centreline_sd_mm=value["centreline_sd_mm"],
        canal=_centreline_from_json(value["canal"]) if value.get("canal") else None,
    )


def _vessel_to_json(vessel: Vessel) -> dict[str, Any]:
    return {
        "vessel_id": vessel.vessel_id,
        "centreline": _centreline_to_json(vessel.centreline),
        "class_probabilities": {k.value: round(v, 6) for k, v in vessel.class_probabilities.items()},
        "seen_on_tof": vessel.seen_on_tof,
        "parent": vessel.parent,
    }


def _vessel_from_json(value: Any) -> Vessel:
    return Vessel(
        vessel_id=value["vessel_id"],
        centreline=_centreline_from_json(value["centreline"]),
        class_probabilities={VesselClass(k): v for k, v in value["class_probabilities"].items()},
        seen_on_tof=value["seen_on_tof"],
        parent=value["parent"],
    )


def _mirror_to_json(mirror: Mirror) -> dict[str, Any]:
    return {
        "point_lps_mm": mirror.midplane.point.tolist(),
        "normal": mirror.midplane.normal.tolist(),
        "pons": None if mirror.pons is None else _surface_to_json(mirror.pons),
    }


def _mirror_from_json(value: Any) -> Mirror:
    plane = Plane(np.asarray(value["point_lps_mm"]), np.asarray(value["normal"]))
    return Mirror(plane, None if value["pons"] is None else _surface_from_json(value["pons"]))


def _surface_to_json(surface: Surface) -> dict[str, Any]:
    return {
        "vertices_lps_mm": rounded(surface.vertices),
        "faces": surface.faces.tolist(),
        "normals": rounded(surface.normals),
    }


def _surface_from_json(value: Any) -> Surface:
    return Surface(
        np.asarray(value["vertices_lps_mm"], dtype=np.float64).reshape(-1, 3),
        np.asarray(value["faces"], dtype=np.int64).reshape(-1, 3),
        np.asarray(value["normals"], dtype=np.float64).reshape(-1, 3),
    )
