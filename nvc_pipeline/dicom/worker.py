"""The parsing child: reads requests on standard input, answers on standard output.

It limits itself before it reads a byte of the data. Messages are JSON with a length before them;
voxels go into a shared buffer. It is started by :mod:`nvc_pipeline.dicom.sandbox` and knows no
path but those it is given.
"""

from __future__ import annotations

import json
import mmap
import resource
import struct
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

Answer = Callable[[dict[str, Any]], None]


def main() -> int:
    """Serve requests until standard input closes."""
    memory, seconds, file_bytes, buffer_fd = (int(a) for a in sys.argv[1:5])
    _limit_self(memory, seconds, file_bytes)
    warnings.simplefilter("ignore")
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    import logging

    logging.disable(logging.CRITICAL)

    def answer(message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        sink.write(struct.pack("<I", len(data)) + data)
        sink.flush()

    from pydicom import config as pydicom_config

    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    pydicom_config.use_none_as_empty_text_VR_value = False
    # The slow imports come before the first file, whose time is limited.
    from nvc_pipeline.dicom import extract, pixels

    answer({"ready": [extract.__name__, pixels.__name__]})
    while (request := _read(source)) is not None:
        _serve(request, answer, buffer_fd)
    return 0


def _limit_self(memory: int, seconds: int, file_bytes: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _read(source: BinaryIO) -> dict[str, Any] | None:
    head = source.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack("<I", head)
    request: dict[str, Any] = json.loads(source.read(length))
    return request


def _serve(request: dict[str, Any], answer: Answer, buffer_fd: int) -> None:
    from nvc_pipeline.dicom.filebytes import Limits

    limits = Limits(*(int(request[k]) for k in ("max_file_bytes", "max_inflation", "max_voxels")))
    if request["op"] == "scan":
        salt = bytes.fromhex(request["salt"])
        for path in request["paths"]:
            answer(guarded(partial(scan_file, path, limits, salt)))
    elif request["op"] == "unpack":
        answer(guarded(partial(_unpack, request, limits)))
    elif request["op"] == "deidentify":
        for job in request["jobs"]:
            answer(guarded(partial(_deidentify, job, limits, request)))
    elif request["op"] == "decode":
        _decode(request, limits, answer, buffer_fd)


def guarded(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run one file's work; whatever the bytes provoke becomes a named answer."""
    from nvc_pipeline.dicom.filebytes import PARSE_ERRORS, FileRefused

    try:
        return work()
    except FileRefused as refusal:
        return {"refused": str(refusal)}
    except MemoryError:
        return {"refused": "needs_too_much_memory"}
    except RecursionError:
        return {"refused": "nesting_too_deep"}
    except PARSE_ERRORS:
        return {"refused": "header_unreadable"}


def scan_file(path: str, limits: Any, salt: bytes) -> dict[str, Any]:
    """Parse the header of one file: ``{"instance": ...}``; raises what :func:`guarded` names."""
    from nvc_pipeline.dicom.extract import HEADER_TAGS, instance_record
    from nvc_pipeline.dicom.filebytes import FileRefused, open_file, read_header

    opened = open_file(path, limits)
    with opened.stream:
        dataset = read_header(opened, HEADER_TAGS)
        record = instance_record(dataset, opened, salt, limits.max_voxels)
    if not record["sop_class_uid"]:
        raise FileRefused("not_dicom" if opened.bare else "header_unreadable")
    return {"instance": record}


def _deidentify(job: dict[str, Any], limits: Any, request: dict[str, Any]) -> dict[str, Any]:
    from nvc_pipeline.dicom.profile import Options
    from nvc_pipeline.dicom.rewrite import rewrite

    chosen = dict(request["options"])
    options = Options(**{**chosen, "safe_private": tuple(chosen["safe_private"])})
    return rewrite(job, limits, bytes.fromhex(request["key"]), options)


def _unpack(request: dict[str, Any], limits: Any) -> dict[str, Any]:
    from nvc_pipeline.dicom.archives import unpack

    max_files, max_total = int(request["max_files"]), int(request["max_total"])
    return {"unpacked": unpack(request["path"], request["target"], limits, max_files, max_total)}


def _decode(request: dict[str, Any], limits: Any, answer: Answer, buffer_fd: int) -> None:
    import numpy as np

    shape, dtype = tuple(int(n) for n in request["shape"]), np.dtype(str(request["dtype"]))
    count = int(np.prod(shape))
    view = mmap.mmap(buffer_fd, count * dtype.itemsize, offset=int(request["offset"]))
    target = np.frombuffer(view, dtype, count=count).reshape(shape)
    for job in request["jobs"]:
        answer(guarded(partial(decode_job, job, limits, target)))


def decode_job(job: dict[str, Any], limits: Any, target: Any) -> dict[str, Any]:
    """Decode the planes of one file into ``target``; raises what :func:`guarded` names."""
    from nvc_pipeline.dicom.filebytes import PARSE_ERRORS, FileRefused
    from nvc_pipeline.dicom.pixels import decode_file

    try:
        decode_file(job, limits, target)
    except (FileRefused, MemoryError, RecursionError):
        raise
    except PARSE_ERRORS as error:
        raise FileRefused("undecodable_pixels") from error
    except BaseException as error:
        # A codec in Rust that meets impossible data panics; its exception has no importable name.
        if type(error).__name__ != "PanicException":
            raise
        raise FileRefused("undecodable_pixels") from error
    return {"decoded": True}


if __name__ == "__main__":
    sys.exit(main())
