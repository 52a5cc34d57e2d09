"""The classifier on the headers that vendors write: physics first, names second, text last."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nvc_pipeline.dicom.classify import classify
from nvc_pipeline.dicom.features import Features, sequence_by_numbers
from nvc_pipeline.domain.anatomy import SequenceRole

BLANK = Features(
    modality="MR",
    tr=None,
    te=None,
    flip=None,
    ti=None,
    echo_train=None,
    sequence=frozenset(),
    variant=frozenset(),
    options=frozenset(),
    image_type=("ORIGINAL", "PRIMARY", "M"),
    three_d=True,
    angio=False,
    balanced=False,
    contrast_agent=False,
    component="M",
    b_value=None,
    derived=False,
    calculated="",
    orientations=1,
    planes=120,
    in_plane_mm=0.5,
    slice_mm=0.6,
    coverage_mm=72.0,
    vendor_names=(),
    free_text=(),
)


def header(sequence: str, tr: float | None, te: float | None, flip: float | None, **more: Any) -> Features:
    words = frozenset(sequence.split("/")) if sequence else frozenset()
    more = {k: frozenset(v) if k in ("variant", "options") else v for k, v in more.items()}
    return replace(BLANK, sequence=words, tr=tr, te=te, flip=flip, **more)


WHOLE = {"coverage_mm": 176.0, "in_plane_mm": 1.0, "slice_mm": 1.0, "planes": 176}
THICK = {"three_d": False, "slice_mm": 5.0, "in_plane_mm": 0.7, "coverage_mm": 140.0, "planes": 25}

# name: header, role. TR and TE in ms, flip angle in degrees.
TABLE: dict[str, tuple[Features, str]] = {
    # balanced steady state
    "Siemens CISS 1.5 T": (
        header("GR", 12.25, 5.9, 70, variant=["SS"], balanced=True, vendor_names=("*ci3d1rs",)),
        "cisternography",
    ),
    "Siemens CISS, long TR": (
        header("GR", 17, 8.08, 70, variant=["SP"], vendor_names=("*ci3d1",)),
        "cisternography",
    ),
    "Siemens CISS 3 T": (header("GR", 5.5, 2.5, 40, variant=["SS", "OSP"], balanced=True), "cisternography"),
    "Siemens CISS XA": (
        header("GR", 6.5, 2.9, 45, vendor_names=("*ci3d1_16rs",), balanced=True),
        "cisternography",
    ),
    "Siemens TrueFISP": (
        header("GR", 5.2, 2.4, 55, variant=["SS"], balanced=True, vendor_names=("*tfi3d1",)),
        "cisternography",
    ),
    "GE FIESTA 1.5 T": (
        header("GR", 5.6, 2.2, 60, variant=["SS", "SK"], balanced=True, vendor_names=("3dfiesta",)),
        "cisternography",
    ),
    "GE FIESTA-C 3 T": (
        header("GR", 7.0, 3.0, 55, variant=["SS"], balanced=True, vendor_names=("FIESTAC",)),
        "cisternography",
    ),
    "GE FIESTA without steady-state flag": (header("GR", 6.0, 2.4, 50, variant=["SK"]), "cisternography"),
    "Philips bFFE": (header("GR", 6.4, 3.2, 45, variant=["SP"], vendor_names=("B-FFE",)), "cisternography"),
    "Philips bFFE enhanced": (header("GR", 5.9, 2.95, 45, balanced=True), "cisternography"),
    "Canon TrueSSFP": (
        header("GR", 6.0, 3.0, 60, variant=["SS"], balanced=True, vendor_names=("FE3D_ssfp",)),
        "cisternography",
    ),
    "United Imaging bSSFP": (header("GR", 6.2, 3.0, 40, vendor_names=("gre_bssfp",)), "cisternography"),
    "Hitachi PBSG": (header("GR", 6.4, 3.2, 50, vendor_names=("PBSG",)), "cisternography"),
    # turbo spin echo
    "Philips DRIVE": (header("SE", 1500, 250, 90, variant=["SK"], echo_train=68), "cisternography"),
    "Siemens SPACE": (
        header("SE", 1200, 263, 120, variant=["SK", "SP"], vendor_names=("*spcR3d1",)),
        "cisternography",
    ),
    "GE CUBE T2": (header("SE", 2500, 110, 90, variant=["SK"]), "cisternography"),
    "Philips VISTA": (header("SE", 2000, 200, 90, in_plane_mm=0.6, slice_mm=0.7), "cisternography"),
    "Toshiba 3D FASE": (header("SE", 4000, 240, 90, in_plane_mm=0.31, slice_mm=0.5), "cisternography"),
    # time of flight
    "Siemens TOF 3 T": (header("GR", 22, 3.7, 18, variant=["SP", "MTC"], options=["FC"], angio=True), "tof"),
    "Siemens TOF 1.5 T": (header("GR", 39, 6.5, 20, variant=["SP", "MTC"], angio=True), "tof"),
    "Siemens TOF XA": (header("GR", 21, 3.42, 18, angio=True, vendor_names=("*fl3d1_16r",)), "tof"),
    "GE TOF": (header("GR", 25, 3.4, 20, options=["FC_SLICE_AX_GEMS"], vendor_names=("TOF3D",)), "tof"),
    "GE TOF, flag only": (header("GR", 24, 2.9, 15, angio=True), "tof"),
    "Philips TOF": (header("GR", 23, 3.45, 18, variant=["SP"], angio=True), "tof"),
    "Philips TOF enhanced": (header("GR", 25, 3.5, 20, angio=True), "tof"),
    "Canon TOF": (header("GR", 21, 3.4, 20, options=["FC"], vendor_names=("FE3D_TOF",)), "tof"),
    "United Imaging TOF": (header("GR", 20.1, 3.6, 16, vendor_names=("gre_tof",)), "tof"),
    "TOF by its name where physics leaves it open": (header("GR", 25, 4.0, 20, free_text=("3D TOF",)), "tof"),
    "TOF with a small echo ratio and MT": (header("GR", 35, 7, 25, variant=["MTC"]), "tof"),
    # T1
    "Siemens MPRAGE": (header("GR", 2300, 2.98, 9, ti=900, vendor_names=("*tfl3d1",), **WHOLE), "t1"),
    "GE BRAVO": (header("GR", 8.2, 3.2, 12, ti=450, vendor_names=("BRAVO",), **WHOLE), "t1"),
    "Philips T1 TFE": (header("GR", 8.1, 3.7, 8, vendor_names=("T1TFE",), **WHOLE), "t1"),
    "VIBE of the canal": (header("GR", 6.5, 2.6, 12, variant=["SP"]), "t1"),
    "VIBE with contrast": (header("GR", 6.5, 2.6, 12, variant=["SP"], contrast_agent=True), "t1_contrast"),
    "MPRAGE with contrast": (header("GR", 1900, 2.9, 9, ti=900, contrast_agent=True, **WHOLE), "t1_contrast"),
    "T1 spin echo": (header("SE", 500, 12, 90, **THICK), "t1"),
    "T1 spin echo with contrast": (header("SE", 500, 12, 90, contrast_agent=True, **THICK), "t1_contrast"),
    # T2
    "T2 turbo spin echo": (header("SE", 5000, 100, 150, **THICK), "t2"),
    "FLAIR": (header("SE", 9000, 120, 150, ti=2500, **THICK), "t2"),
    "3D FLAIR": (header("SE", 5000, 390, 120, ti=1800, **WHOLE), "t2"),
    "T2 SPACE whole head": (header("SE", 3200, 408, 120, **WHOLE), "t2"),
    "GE PROPELLER": (header("RM", 6000, 100, 140, **THICK), "t2"),
    # others
    "three-plane localizer": (header("GR", 8, 3, 20, orientations=3, **THICK), "localizer"),
    "localizer by image type": (
        header("GR", 20, 5, 40, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")),
        "localizer",
    ),
    "head scout": (
        header(
            "GR",
            3.15,
            1.37,
            8,
            in_plane_mm=1.6,
            slice_mm=1.6,
            vendor_names=("*fl3d1_ns",),
            free_text=("AAHead_Scout",),
        ),
        "localizer",
    ),
    "MIP of the TOF": (
        header("GR", 22, 3.7, 18, angio=True, derived=True, image_type=("DERIVED", "SECONDARY", "MIP")),
        "derived",
    ),
    "rotating MIP": (header("GR", 22, 3.7, 18, angio=True, calculated="MAX_IP"), "derived"),
    "reformat by its name": (
        header("GR", 6.5, 2.9, 50, image_type=("DERIVED", "PRIMARY", "M"), free_text=("CISS MPR cor",)),
        "derived",
    ),
    "phase image": (header("GR", 6.5, 2.9, 50, component="P"), "derived"),
    "diffusion": (
        header(
            "SE/EP",
            6000,
            80,
            90,
            three_d=False,
            b_value=1000.0,
            **{k: v for k, v in THICK.items() if k != "three_d"},
        ),
        "other",
    ),
    "functional": (header("GR/EP", 2000, 30, 77, three_d=False), "other"),
    "CT": (replace(BLANK, modality="CT"), "other"),
    "balanced but coarse": (
        header("GR", 4.5, 2.2, 60, in_plane_mm=1.5, slice_mm=5.0, balanced=True),
        "other",
    ),
    "no header at all": (BLANK, "other"),
    "no physics, text names it": (replace(BLANK, free_text=("t2_ciss3d_tra_iso",)), "cisternography"),
    "no physics, text names it, too coarse": (replace(BLANK, free_text=("ciss",), in_plane_mm=1.2), "t2"),
    "no physics, scanner names it": (replace(BLANK, vendor_names=("3DFIESTAC",)), "cisternography"),
    "T1 or TOF, nothing tells": (header("GR", 15, 4.0, 20), "other"),
    "TOF by its slab alone": (header("GR", 25, 4.0, 20), "tof"),
    "the same, covering the head": (header("GR", 25, 4.0, 20, coverage_mm=176.0), "other"),
    "venogram": (header("GR", 22, 4.9, 18, angio=True, free_text=("3D TOF MRV sag",)), "other"),
    "phase contrast": (header("GR", 25, 6.0, 15, angio=True, phase_contrast=True), "other"),
    "phase contrast by its name": (header("GR", 25, 6.0, 15, angio=True, free_text=("3D PCA",)), "other"),
    "T1 FLASH of 30 degrees by its name": (header("GR", 11, 4.9, 30, free_text=("t1_fl3d_tra",)), "t1"),
    "balanced of 30 degrees without a name": (header("GR", 11, 4.9, 30), "cisternography"),
    "susceptibility": (header("GR", 28, 20, 15, free_text=("SWI",)), "other"),
    "T2* by name": (header("GR", 28, 20, 15, free_text=("t2*_3d",)), "other"),
    "fine T2 by name alone": (replace(BLANK, free_text=("T2 3D tra",)), "cisternography"),
    "FLAIR by name alone": (replace(BLANK, free_text=("3D FLAIR",)), "t2"),
    "T1 with contrast by name": (header("GR", 9, 4, 12, free_text=("T1 post Gd",)), "t1_contrast"),
}


@pytest.mark.parametrize("name", list(TABLE))
def test_role(name: str, ingest_config) -> None:
    features, role = TABLE[name]
    verdict = classify(features, ingest_config)
    assert verdict.role.value == role, verdict
    assert verdict.reason


def test_physics_wins_over_a_lying_name(ingest_config) -> None:
    features, _ = TABLE["Siemens TOF 3 T"]
    verdict = classify(replace(features, free_text=("t2_ciss3d",)), ingest_config)
    assert verdict.role is SequenceRole.TOF
    assert verdict.disagreement == "cisternography"


@pytest.mark.parametrize("name", ["Siemens SPACE", "GE CUBE T2", "Siemens CISS 3 T"])
def test_t2_in_the_name_of_a_cisternogram_is_no_lie(name: str, ingest_config) -> None:
    verdict = classify(replace(TABLE[name][0], free_text=("t2_tra_iso",)), ingest_config)
    assert not verdict.disagreement


def test_the_scanners_name_wins_over_free_text(ingest_config) -> None:
    features = replace(BLANK, vendor_names=("FE3D_TOF",), free_text=("ciss",))
    assert classify(features, ingest_config).role is SequenceRole.TOF


def test_an_open_question_names_its_answers(ingest_config) -> None:
    verdict = classify(TABLE["T1 or TOF, nothing tells"][0], ingest_config)
    assert set(verdict.open_roles) == {SequenceRole.TOF, SequenceRole.T1}
    assert "--tof" in verdict.reason


@pytest.mark.parametrize(
    ("name", "doubt"),
    [
        ("TOF by its slab alone", True),
        ("balanced of 30 degrees without a name", True),
        ("fine T2 by name alone", True),
        ("no physics, text names it", True),
        ("Siemens TOF 3 T", False),
        ("GE FIESTA without steady-state flag", False),
        ("Siemens SPACE", False),
        ("TOF by its name where physics leaves it open", False),
    ],
)
def test_doubt_is_told(name: str, doubt: bool, ingest_config) -> None:
    assert bool(classify(TABLE[name][0], ingest_config).doubt) is doubt


NAMES = {
    "cisternography": [
        *(
            "t2_space_iso IAC",
            "3D FIESTA-C",
            "sT2W_DRIVE",
            "CISS3D",
            "B_FFE",
            "b-FFE",
            "BFFE_iac",
            "Ax FIESTA",
        ),
        *("t2_ciss3d_tra_iso", "tru-fi", "TrueFISP", "TrueSSFP", "bSSFP", "3D_Cisternography", "WIP_IAM"),
        *("CPA_t2", "heavily T2w", "Innenohr", "bal_FFE"),
    ],
    "tof": ["TOF_3D_multi-slab", "MRA HEAD", "3D_MRA_cow", "TOF3D", "Time of Flight", "3D TOF", "MOTSA"],
}


@pytest.mark.parametrize(("text", "role"), [(t, r) for r, texts in NAMES.items() for t in texts])
def test_names_people_type(text: str, role: str, ingest_config) -> None:
    """Free text alone, where the header holds nothing else."""
    assert classify(replace(BLANK, free_text=(text,)), ingest_config).role.value == role


@pytest.mark.parametrize("text", ["Lumbar", "Maciamo", "Thorax CPAP", "stofwisseling", "Amrad"])
def test_words_within_words_mean_nothing(text: str, ingest_config) -> None:
    assert classify(replace(BLANK, free_text=(text,)), ingest_config).role is SequenceRole.OTHER


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((6.8, 3.1, None, 50), "GR"),
        ((22, 3.8, None, 18), "GR"),
        ((2300, 2.9, 900, 9), "GR"),
        ((1200, 260, None, 120), "SE"),
        ((500, 12, None, 90), "SE"),
        ((9000, 120, 2500, 150), "SE"),
        ((2000, 30, None, 77), ""),
        ((200, 5, None, 70), ""),
        ((None, 3, None, 50), ""),
    ],
)
def test_a_sequence_is_read_from_numbers_where_they_leave_no_other(numbers, word: str) -> None:
    assert "".join(sequence_by_numbers(*numbers)) == word


def test_no_free_text_in_the_reason(ingest_config) -> None:
    features = replace(BLANK, free_text=("ciss of Jane Doe",))
    assert "Doe" not in classify(features, ingest_config).reason
