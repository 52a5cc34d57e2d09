"""The names of all files of a study's results, as data, in one place (BIDS entities).

Paths are relative to OUT. ``{sub}`` is the case id: a pseudonym, never a word of a tag.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.store.identity import content_uid, keyed_token
from nvc_pipeline.store.provenance import sha256_bytes

RAW = "bids"
_CASE_ID = re.compile(r"sub-[0-9a-f]{10}")
# The cisternogram's space, or the angiogram's where there is no cisternogram.
_SPACES = ("T2w", "angio")

# The raw dataset: what the scanner made, only converted.
RAW_IMAGES = MappingProxyType(
    {
        "cisternogram": f"{RAW}/{{sub}}/anat/{{sub}}_acq-ciss_T2w.nii.gz",
        "tof": f"{RAW}/{{sub}}/anat/{{sub}}_acq-tof_angio.nii.gz",
    }
)
# Every other volume of the study, by the place of its series in the study and of its stack in the series.
OTHER_VOLUME = "volumes/series-{series:02d}_stack-{stack:02d}.nii.gz"
# Results, flat in OUT, with the entities of BIDS derivatives.
PRODUCTS = MappingProxyType(
    {
        **RAW_IMAGES,
        "tof_in_cistern": "{sub}_space-T2w_desc-preproc_angio.nii.gz",
        "tof_transform": "{sub}_from-angio_to-T2w_mode-image_xfm.txt",
        "segmentation": "{sub}_space-{space}_desc-nvc_dseg.nii.gz",
        "segmentation_table": "{sub}_space-{space}_desc-nvc_dseg.tsv",
        "probabilities": "{sub}_hemi-{hemi}_desc-nvc_probseg.npz",
        "nerve_centreline": "{sub}_hemi-{hemi}_desc-nerve_centreline.json",
        "contacts": "{sub}_desc-contacts.tsv",
        "dicom_seg": "{sub}_seg.dcm",
        "dicom_sr": "{sub}_sr.dcm",
        "mesh_stl": "meshes/{sub}.stl",
        "mesh_glb": "meshes/{sub}.glb",
    }
)


def path_of(product: str, case_id: str, side: Side | None = None, space: str = "T2w") -> str:
    """Return the path of a product relative to OUT.

    Parameters
    ----------
    space:
        Suffix of the image whose space it is in: ``T2w`` or ``angio``.

    Raises
    ------
    InternalFault
        ``names.unknown`` for a product that is not in the table, a case id or space of another
        form, or a side that is missing or too much.
    """
    template = PRODUCTS.get(product, "")
    formed = template and _CASE_ID.fullmatch(case_id) and space in _SPACES
    if not formed or ("{hemi}" in template) != (side is not None):
        raise InternalFault(
            "names.unknown", "A file's name was asked for that the table does not hold", where=product
        )
    return template.format(sub=case_id, hemi="" if side is None else side.letter, space=space)


def sidecar_of(path: str) -> str:
    """Return the name of the JSON that stands beside an image."""
    for ending in (".nii.gz", ".nii", ".tsv", ".npz"):
        if path.endswith(ending):
            return path.removesuffix(ending) + ".json"
    return path + ".json"


def case_id_of(*identifiers: str, key: bytes | None = None) -> str:
    """Return ``sub-`` and ten hexadecimal digits for a study or patient.

    Parameters
    ----------
    identifiers:
        What tells studies apart (a UID, a hash of the files). Nothing of it can be read back.
    key:
        A site's secret: then nobody without it can find the case id from the identifiers.
    """
    if key is not None:
        return f"sub-{keyed_token(key, *identifiers)}"
    return f"sub-{sha256_bytes(content_uid(*identifiers).encode())[:10]}"
