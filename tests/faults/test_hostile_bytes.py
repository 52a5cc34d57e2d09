"""Hostile bytes: each case ends in a named finding or error, in bounded time and memory. Family F2."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import RLELossless

from nvc_pipeline.dicom.header import safe_uid
from nvc_pipeline.errors import InputRefused, NvcError
from tests.synthetic_dicom import SLICES, enhanced, make_series, set_pixels, write


@dataclass(frozen=True)
class Hostile:
    """A good study with something hostile in it; ``code`` must be named, ``used`` is what survives."""

    name: str
    build: Callable[[Path], Any]
    code: str
    used: bool


def _files(folder: Path) -> list[Path]:
    return sorted(write(make_series(), folder).iterdir())


def _beside(make: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A hostile file beside a good study."""

    def build(folder: Path) -> None:
        write(make_series(), folder)
        make(folder / "zz_hostile")

    return build


def _first_file_changed(change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    def build(folder: Path) -> None:
        path = _files(folder)[5]
        path.write_bytes(change(path.read_bytes()))

    return build


def _element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    head = struct.pack("<HH", group, number) + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + b"\0\0" + struct.pack("<I", size) + value
    return head + struct.pack("<H", size) + value


def _meta(syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    return bytes(128) + b"DICM" + _element(2, 0x10, b"UI", syntax)


_CLASS = _element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.4\0")


def _nested(depth: int) -> bytes:
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    opening = (_element(8, 0x1140, b"SQ", b"", 0xFFFFFFFF) + item) * depth
    closing = (struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)) * depth
    return _meta() + _CLASS + opening + closing


def _deflate_bomb(path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(_CLASS + _element(8, 0x103E, b"UT", b"", 200 << 20))
    body += b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    assert len(body) < 1 << 20
    path.write_bytes(_meta(b"1.2.840.10008.1.2.1.99\0\0"[:22]) + body)


def _gzip_bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as out:
        for _ in range(80):
            out.write(bytes(1 << 20))


def _huge(rows: int, columns: int, frames: int) -> Callable[[Path], Any]:
    def build(folder: Path) -> None:
        d = make_series()[0]
        d.SeriesInstanceUID = "1.2.3.4"
        d.Rows, d.Columns, d.NumberOfFrames = rows, columns, frames
        write([d], folder, "huge")
        write(make_series(), folder)

    return build


def _coded_lie(frame: bytes, syntax: str) -> Callable[[Path], Any]:
    """A compressed slice whose stream claims another size than the header."""

    def build(folder: Path) -> None:
        from pydicom.encaps import encapsulate

        datasets = make_series(voxels=None)
        for d in datasets:
            d.PixelData = encapsulate([frame])
            d["PixelData"].is_undefined_length = True
            d.file_meta.TransferSyntaxUID = syntax
        write(datasets, folder)

    return build


def _unknown_encoding(folder: Path) -> None:
    """As a standard to come would: the identifier is well formed, no library knows it."""
    _coded_lie(bytes(range(256)), "1.2.840.10008.1.2.4.90")(folder)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.99"))


_JPEG_65500 = (
    b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 16, 65500, 65500, 1) + b"\x01\x11\x00" + bytes(200)
)
_J2K_65500 = (
    b"\xff\x4f\xff\x51"
    + struct.pack(">HHIIIIIIIIH", 41, 0, 65500, 65500, 0, 0, 65500, 65500, 0, 0, 1)
    + bytes(200)
)


def _rle_lie(folder: Path) -> None:
    datasets = make_series()
    for d in datasets:
        d.compress(RLELossless, generate_instance_uid=False)
        data = bytearray(d.PixelData)
        at = data.find(struct.pack("<I", 2), 8)
        data[at + 4 : at + 12] = struct.pack("<II", 0xFFFFFF00, 0xFFFFFFF0)
        d.PixelData = bytes(data)
    write(datasets, folder)


def _uid_case(value: str) -> Callable[[Path], Any]:
    def build(folder: Path) -> None:
        datasets = make_series()
        raw = value.encode("utf-8")
        for n, d in enumerate(datasets):
            d.SeriesInstanceUID = "1.2.999"
            path = folder / f"im{n:03d}"
            folder.mkdir(exist_ok=True)
            d.save_as(path, enforce_file_format=True)
            data = path.read_bytes()
            old = struct.pack("<HH", 0x20, 0x0E) + b"UI" + struct.pack("<H", 8) + b"1.2.999\0"
            assert old in data
            padded = raw + b"\0" * (len(raw) % 2)
            new = struct.pack("<HH", 0x20, 0x0E) + b"UI" + struct.pack("<H", len(padded)) + padded
            path.write_bytes(data.replace(old, new))

    return build


def _symlinks(folder: Path) -> None:
    write(make_series(), folder)
    (folder / "loop").symlink_to(folder)
    (folder / "passwd").symlink_to("/etc/passwd")


def _charsets(folder: Path) -> None:
    write(make_series(SpecificCharacterSet=["ISO 2022 IR 87", "\\x", "ISO 2022 IR 999"]), folder)


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(5000))


def _marked_noise(path: Path) -> None:
    path.write_bytes(bytes(128) + b"DICM" + np.random.default_rng(2).bytes(5000))


def _odd_names(folder: Path) -> None:
    for n, path in enumerate(_files(folder)[:4]):
        path.rename(folder / ["a\nb", "quote'\"", "$(touch x)", "-rf"][n])


def _preamble(start: bytes) -> Callable[[bytes], bytes]:
    return lambda data: start + data[len(start) :]


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


_ROWS = struct.pack("<HH", 0x28, 0x10) + b"US" + struct.pack("<H", 2)
_PIXELS = struct.pack("<HH", 0x7FE0, 0x10)


def _pixel_length(length: bytes, lost: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = data.rfind(_PIXELS)
        return data[: at + 8] + length + data[at + 12 : len(data) - lost]

    return change


UIDS = [
    "../../etc/x",
    "/etc/passwd",
    "1.2\x003",
    "1.2.३",
    "1." + "2" * 70,
    "C:\\x\\y",
    "con.nul",
    "1.2\n3.4",
]

CASES = [
    *[Hostile(f"UID {value!r}", _uid_case(value), "ingest.no_tof", True) for value in UIDS],
    Hostile("nesting 250", _beside(lambda p: p.write_bytes(_nested(250))), "ingest.nesting_too_deep", True),
    Hostile(
        "nesting 10000", _beside(lambda p: p.write_bytes(_nested(10_000))), "ingest.nesting_too_deep", True
    ),
    Hostile("deflate bomb", _beside(_deflate_bomb), "ingest.inflation_bomb", True),
    Hostile("gzip bomb", _beside(_gzip_bomb), "ingest.inflation_bomb", True),
    Hostile(
        "JPEG stream larger than its header",
        _coded_lie(_JPEG_65500, "1.2.840.10008.1.2.4.70"),
        "ingest.codec_bomb",
        False,
    ),
    *[
        Hostile(
            f"JPEG stream of kind {kind:02X} larger than its header",
            _coded_lie(_JPEG_65500.replace(b"\xff\xc3", bytes([0xFF, kind])), "1.2.840.10008.1.2.4.70"),
            "ingest.codec_bomb",
            False,
        )
        for kind in (0xC0, 0xC9, 0xCB)
    ],
    Hostile(
        "an encoding that is not known",
        _unknown_encoding,
        "ingest.undecodable_pixels",
        False,
    ),
    Hostile(
        "a video",
        _coded_lie(bytes(range(256)), "1.2.840.10008.1.2.4.102"),
        "ingest.undecodable_pixels",
        False,
    ),
    Hostile(
        "JPEG 2000 stream larger than its header",
        _coded_lie(_J2K_65500, "1.2.840.10008.1.2.4.90"),
        "ingest.codec_bomb",
        False,
    ),
    Hostile(
        "JPEG of noise",
        _coded_lie(bytes(range(256)), "1.2.840.10008.1.2.4.70"),
        "ingest.undecodable_pixels",
        False,
    ),
    Hostile("RLE offsets outside", _rle_lie, "ingest.undecodable_pixels", False),
    Hostile("65535 x 65535 pixels", _huge(65535, 65535, 1), "ingest.too_many_voxels", True),
    Hostile("a million frames", _huge(2, 2, 1_000_000), "ingest.too_many_frames", True),
    Hostile("zero rows", _huge(0, 64, 1), "ingest.header_unreadable", True),
    Hostile(
        "rows x columns x frames beyond 2^32", _huge(65535, 65535, 65535), "ingest.too_many_voxels", True
    ),
    Hostile(
        "pixel length 0xFFFFFFFF",
        _first_file_changed(_pixel_length(b"\xff\xff\xff\xff", 0)),
        "ingest.undecodable_pixels",
        False,
    ),
    Hostile(
        "pixel length beyond the file",
        _first_file_changed(_pixel_length(b"\x00\x00\x00\x7f", 50)),
        "ingest.truncated_pixels",
        False,
    ),
    Hostile(
        "element length 0xFFFF",
        _first_file_changed(_replace(b"\x10\x00\x10\x00PN", b"\x10\x00\x10\x00OB")),
        "ingest.missing_slice",
        False,
    ),
    Hostile(
        "wrong VR for rows",
        _first_file_changed(_replace(_ROWS, _ROWS[:4] + b"FL" + _ROWS[6:])),
        "ingest.missing_slice",
        False,
    ),
    Hostile(
        "unknown VR",
        _first_file_changed(_replace(_ROWS, _ROWS[:4] + b"ZZ" + _ROWS[6:])),
        "ingest.missing_slice",
        False,
    ),
    Hostile(
        "unknown transfer syntax",
        _first_file_changed(_replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")),
        "ingest.no_tof",
        True,
    ),
    Hostile(
        "program in the preamble", _first_file_changed(_preamble(b"MZ\x90")), "ingest.foreign_preamble", True
    ),
    Hostile(
        "ELF in the preamble", _first_file_changed(_preamble(b"\x7fELF")), "ingest.foreign_preamble", True
    ),
    Hostile(
        "Mach-O in the preamble",
        _first_file_changed(_preamble(b"\xcf\xfa\xed\xfe")),
        "ingest.foreign_preamble",
        True,
    ),
    Hostile(
        "HTML in the preamble", _first_file_changed(_preamble(b"<script>")), "ingest.foreign_preamble", True
    ),
    Hostile("symbolic links", _symlinks, "ingest.not_regular_file", True),
    Hostile("a pipe", _beside(os.mkfifo), "ingest.not_regular_file", True),
    Hostile("names with line breaks, quotes and $()", _odd_names, "ingest.no_tof", True),
    Hostile("character set tricks", _charsets, "ingest.no_tof", True),
    Hostile("empty file", _beside(lambda p: p.write_bytes(b"")), "ingest.not_dicom", True),
    Hostile("noise", _beside(_noise), "ingest.not_dicom", True),
    Hostile("noise after DICM", _beside(_marked_noise), "ingest.header_unreadable", True),
]

# A file cut at ten places: header, between, pixels. The slice is lost or its pixels are short.
CUTS = [0.001, 0.02, 0.05, 0.08, 0.1, 0.15, 0.3, 0.5, 0.8, 0.999]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name.encode("unicode_escape").decode())
def test_ends_by_name(case: Hostile, tmp_path: Path, ingest) -> None:
    study = tmp_path / "study"
    study.mkdir()
    case.build(study)
    outside = sorted(p.name for p in tmp_path.iterdir())
    result = ingest(study)
    codes = {f.code for f in result.findings}
    assert case.code in codes
    assert (result.cisternogram is not None) is case.used
    assert sorted(p.name for p in tmp_path.iterdir()) == outside, "nothing is written from a tag"
    for record in result.series:
        assert set(record.series_instance_uid) <= set("0123456789.abcdefinvalid-")
        assert len(record.series_instance_uid) <= 64


@pytest.mark.parametrize("share", CUTS)
def test_cut_at_any_place(share: float, tmp_path: Path, ingest) -> None:
    _first_file_changed(_cut(share))(tmp_path)
    result = ingest(tmp_path)
    codes = {f.code for f in result.findings if f.severity.value == "error"}
    assert result.cisternogram is None
    assert codes & {"ingest.missing_slice", "ingest.truncated_pixels"}


def _zip(path: Path, members: list[tuple[str, bytes, int]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, data)
    return path


def test_zip_slip_stays_inside(tmp_path: Path, ingest) -> None:
    members = [
        (f"../../slip{n}", path.read_bytes(), stat.S_IFREG | 0o644)
        for n, path in enumerate(_files(tmp_path / "study"))
    ]
    before = sorted(p.name for p in tmp_path.parent.iterdir())
    result = ingest(_zip(tmp_path / "slip.zip", members))
    assert result.cisternogram is not None
    assert result.cisternogram.shape[2] == SLICES
    assert sorted(p.name for p in tmp_path.parent.iterdir()) == before
    assert not list(tmp_path.rglob("slip0"))


def test_zip_with_links_inside(tmp_path: Path, ingest) -> None:
    members = [(p.name, p.read_bytes(), stat.S_IFREG | 0o644) for p in _files(tmp_path / "study")]
    members.append(("link", b"/etc/passwd", stat.S_IFLNK | 0o777))
    assert ingest(_zip(tmp_path / "links.zip", members)).cisternogram is not None


def test_zip_bomb(tmp_path: Path, ingest) -> None:
    path = _zip(tmp_path / "bomb.zip", [("zeros", bytes(80 << 20), stat.S_IFREG | 0o644)])
    with pytest.raises(InputRefused) as caught:
        ingest(path)
    assert caught.value.code == "ingest.inflation_bomb"


def test_damaged_zip(tmp_path: Path, ingest) -> None:
    path = _zip(tmp_path / "bad.zip", [("a", os.urandom(2000), stat.S_IFREG | 0o644)])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputRefused) as caught:
        ingest(path)
    assert caught.value.code == "ingest.archive_damaged"


def _tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as out:
        for info, data in members:
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def _members(folder: Path, prefix: str = "") -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(f"{prefix}{p.name}"), p.read_bytes()) for p in _files(folder)]


@pytest.mark.parametrize("prefix", ["../../slip-", "/tmp/slip-", "a/../../slip-"])
def test_tar_slip_stays_inside(prefix: str, tmp_path: Path, ingest) -> None:
    path = _tar(tmp_path / "slip.tar.gz", _members(tmp_path / "study", prefix))
    before = sorted(p.name for p in tmp_path.parent.iterdir())
    result = ingest(path)
    assert result.cisternogram.shape[2] == SLICES
    assert sorted(p.name for p in tmp_path.parent.iterdir()) == before
    assert not [p for p in Path("/tmp").iterdir() if p.name.startswith("slip-")]


def test_tar_with_links_devices_and_pipes_inside(tmp_path: Path, ingest) -> None:
    members = _members(tmp_path / "study")
    for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        members.append((info, b""))
    assert ingest(_tar(tmp_path / "links.tar", members, "w")).cisternogram is not None


def test_tar_bomb(tmp_path: Path, ingest) -> None:
    path = _tar(tmp_path / "bomb.tgz", [(tarfile.TarInfo(f"zeros{n}"), bytes(40 << 20)) for n in range(3)])
    with pytest.raises(InputRefused) as caught:
        ingest(path)
    assert caught.value.code == "ingest.inflation_bomb"


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_cut_tar(keep: float, tmp_path: Path, ingest) -> None:
    path = _tar(tmp_path / "cut.tar.gz", _members(tmp_path / "study"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(InputRefused) as caught:
        ingest(path)
    assert caught.value.code == "ingest.archive_damaged"


def test_a_damaged_archive_beside_a_study_is_set_aside(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "images")
    (tmp_path / "old.zip").write_bytes(b"PK\x03\x04" + os.urandom(500))
    (tmp_path / "fake.tar.gz").write_bytes(os.urandom(500))
    result = ingest(tmp_path)
    assert result.cisternogram is not None
    (finding,) = [f for f in result.findings if f.code == "ingest.archive_damaged"]
    assert finding.message.startswith("2 files")


def test_programs_and_documents_on_a_disc_are_not_unpacked(tmp_path: Path, ingest) -> None:
    write(make_series(), tmp_path / "images")
    for name in ("viewer.jar", "letter.docx"):
        _zip(tmp_path / name, [("inside", b"x", stat.S_IFREG | 0o644)])
    result = ingest(tmp_path)
    assert result.cisternogram is not None
    assert "2 files were set aside: not DICOM" in {f.message for f in result.findings}


def test_too_many_files(tmp_path: Path, ingest_config) -> None:
    from nvc_pipeline.dicom.ingest import ingest_study

    for n in range(30):
        (tmp_path / str(n)).touch()
    with pytest.raises(InputRefused) as caught:
        ingest_study(tmp_path, ingest_config.model_copy(update={"max_files": 20}))
    assert caught.value.code == "ingest.too_many_files"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_not_read(device: str, ingest) -> None:
    with pytest.raises(InputRefused) as caught:
        ingest(Path(device))
    assert caught.value.code == "ingest.not_regular_file"


def test_file_larger_than_the_limit(tmp_path: Path, ingest_config) -> None:
    from nvc_pipeline.dicom.ingest import ingest_study

    write(make_series(), tmp_path)
    with (tmp_path / "zz").open("wb") as sparse:
        sparse.truncate(3 << 20)
    config = ingest_config.model_copy(update={"max_file_mib": 2})
    codes = {f.code for f in ingest_study(tmp_path, config).findings}
    assert "ingest.file_too_large" in codes


def test_child_that_dies_costs_one_file(tmp_path: Path, ingest_config) -> None:
    """A child killed by its processor limit or a crash: the file is named, the rest goes on."""
    from nvc_pipeline.dicom.sandbox import Sandbox

    files = _files(tmp_path)
    with Sandbox(ingest_config.model_copy(update={"workers": 1})) as sandbox:
        assert "instance" in sandbox.scan(files[:1])[0]
        sandbox._children[0].process.kill()
        answers = sandbox.scan(files[:4])
        assert answers[0] == {"refused": "parser_crashed"}
        assert all("instance" in a for a in answers[1:])


def test_memory_limit_holds_in_the_child(tmp_path: Path, ingest_config) -> None:
    from nvc_pipeline.dicom.sandbox import Sandbox

    config = ingest_config.model_copy(update={"parse_memory_mib": 512, "max_inflation": 10**6, "workers": 1})
    _deflate_bomb(tmp_path / "bomb")
    with Sandbox(config) as sandbox:
        (answer,) = sandbox.scan([tmp_path / "bomb"])
    assert answer["refused"] in ("needs_too_much_memory", "parser_crashed")


def test_time_limit_holds(tmp_path: Path, ingest_config, monkeypatch) -> None:
    from nvc_pipeline.dicom import sandbox as module

    files = _files(tmp_path)
    with module.Sandbox(ingest_config.model_copy(update={"workers": 1, "file_seconds": 1})) as sandbox:
        sandbox.scan(files[:1])
        os.kill(sandbox._children[0].process.pid, 19)  # SIGSTOP: it will never answer
        assert sandbox.scan(files[:1]) == [{"refused": "parser_took_too_long"}]


def test_child_lies_are_refused(tmp_path: Path, ingest_config, monkeypatch) -> None:
    """What comes from the child is checked too: wrong types cost the file, not the run."""
    from nvc_pipeline.dicom.intake import read_source
    from nvc_pipeline.dicom.sandbox import Sandbox

    files = _files(tmp_path)
    with Sandbox(ingest_config) as sandbox:
        good = sandbox.scan(files)
        bad = [{"instance": {"frames": 3}}, {"instance": None}, {}, *good[3:]]
        monkeypatch.setattr(sandbox, "scan", lambda paths: bad)
        intake = read_source(tmp_path, ingest_config, sandbox, tmp_path)
    assert len(intake.instances) == SLICES - 3


NIFTI = {
    "bad magic": (lambda d: d[:344] + b"xxxx" + d[348:], "nifti.unreadable"),
    "huge dimension": (
        lambda d: d[:42] + struct.pack("<3h", 32767, 32767, 32767) + d[48:],
        "ingest.too_many_voxels",
    ),
    "negative dimension": (lambda d: d[:42] + struct.pack("<h", -5) + d[44:], "nifti."),
    "NaN affine": (lambda d: d[:280] + struct.pack("<12f", *[float("nan")] * 12) + d[328:], "nifti.affine"),
    "zero determinant": (lambda d: d[:280] + bytes(48) + d[328:], "nifti.affine"),
    "qform is not sform": (lambda d: d[:292] + struct.pack("<f", 40.0) + d[296:], "nifti.affine"),
    "no space at all": (lambda d: d[:252] + bytes(4) + d[256:], "nifti.affine"),
    "cut": (lambda d: d[:500], "nifti.unreadable"),
    "empty": (lambda d: b"", "nifti.unreadable"),
}


@pytest.mark.parametrize("name", list(NIFTI))
def test_hostile_nifti(name: str, tmp_path: Path, ingest) -> None:
    image = nib.Nifti1Image(np.zeros((8, 9, 10), np.int16), np.diag([1, 1, 1, 1]))
    image.set_sform(np.eye(4), 1)
    image.set_qform(np.eye(4), 1)
    change, code = NIFTI[name]
    path = tmp_path / "volume.nii"
    path.write_bytes(change(image.to_bytes()))
    with pytest.raises(NvcError) as caught:
        ingest(path)
    assert caught.value.code.startswith(code)
    assert caught.value.exit_status == 3


def test_safe_uid() -> None:
    assert safe_uid("1.2.840.10008") == "1.2.840.10008"
    assert all(safe_uid(u).startswith("invalid-") for u in UIDS)
    assert len({safe_uid(u) for u in UIDS}) == len(UIDS)
    assert safe_uid("") == ""


def test_there_are_at_least_45_cases() -> None:
    assert len(CASES) + len(CUTS) + len(NIFTI) >= 45


def test_messages_are_plain_json(tmp_path: Path, ingest) -> None:
    _uid_case(UIDS[0])(tmp_path)
    result = ingest(tmp_path)
    text = json.dumps([s.model_dump(mode="json") for s in result.series])
    assert "etc" not in text


def test_enhanced_claims_more_frames_than_it_holds(tmp_path: Path, ingest) -> None:
    d = enhanced()
    d.NumberOfFrames = 5000
    write([d], tmp_path)
    result = ingest(tmp_path)
    assert result.cisternogram is None
    assert any(f.severity.value == "error" for f in result.findings)


def test_pixel_rows_disagree_with_data(tmp_path: Path, ingest) -> None:
    datasets = make_series()
    set_pixels(datasets[3], np.zeros((40, 80), np.int16))
    datasets[3].PixelData = datasets[3].PixelData[:10]
    result = ingest(write(datasets, tmp_path))
    assert "ingest.truncated_pixels" in {f.code for f in result.findings}
