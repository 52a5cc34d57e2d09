"""Files appear whole or not at all."""

import errno
import os

import pytest

from nvc_pipeline.errors import NvcError, OutputError, UsageError
from nvc_pipeline.store import atomic


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path) -> None:
    path = tmp_path / "a.json"
    atomic.write_json(path, {"a": 1})

    def fail_half_way() -> None:
        with atomic.atomic_write(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert atomic.read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (errno.ENOSPC, "output.disk_full", OutputError),
        (errno.EDQUOT, "output.disk_full", OutputError),
        (errno.EACCES, "output.not_writable", UsageError),
        (errno.EROFS, "output.not_writable", UsageError),
        (errno.EIO, "output.failed", OutputError),
    ],
)
@pytest.mark.parametrize("when", ["write", "fsync", "replace"])
def test_what_the_system_refuses_is_named(tmp_path, monkeypatch, number, code, kind, when) -> None:
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    target = {"write": "pathlib.Path.write_bytes", "fsync": "os.fsync", "replace": "pathlib.Path.replace"}
    monkeypatch.setattr(target[when], refuse)
    with pytest.raises(NvcError) as caught:
        atomic.write_bytes(tmp_path / "a", b"data")
    assert isinstance(caught.value, kind)
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError) as caught:
        atomic.write_text(tmp_path / "file" / "a", "x")
    assert caught.value.code == "output.not_writable"


def test_json_bytes_do_not_depend_on_order() -> None:
    assert atomic.json_bytes({"b": 1, "a": [1.5]}) == atomic.json_bytes({"a": [1.5], "b": 1})


def test_not_a_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.json_bytes({"a": float("nan")})


@pytest.mark.parametrize(
    ("content", "code"), [(None, "input.missing"), (b"{", "input.damaged"), (b"\xff", "input.damaged")]
)
def test_reading_what_is_missing_or_damaged_is_named(tmp_path, content, code) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        atomic.read_json(path)
    assert caught.value.code == code


def test_compression_has_no_time_stamp() -> None:
    assert atomic.gzip_bytes(b"abc")[4:8] == b"\0\0\0\0"
