"""A bundle that was changed in any way is refused by name; nothing in it runs."""

from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

from nvc_pipeline.errors import BundleRefused, UsageError
from nvc_pipeline.segment import bundle as module
from nvc_pipeline.segment.bundle import MANIFEST, METADATA, WEIGHTS, bundle_path, load_bundle
from nvc_pipeline.segment.bundle_metadata import Calibration
from nvc_pipeline.segment.write_bundle import seal, write_bundle


def _edit_json(folder, name, change):
    path = folder / name
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def _edit_weights(folder, change):
    tensors = dict(load((folder / WEIGHTS).read_bytes()))
    change(tensors)
    (folder / WEIGHTS).write_bytes(save(tensors))
    seal(folder)


def _set(tree, path, value):
    *parents, last = path
    for key in parents:
        tree = tree[key]
    tree[last] = value


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def _first(tensors):
    return sorted(tensors)[0]


def _nan(value):
    def change(tensors):
        name = _first(tensors)
        array = np.array(tensors[name])
        array.flat[0] = value
        tensors[name] = array

    return change


def _truncate(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-8])
    seal(folder)


def _huge_header(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", 2**62) + data[8:])
    seal(folder)


def _pickle_instead(folder):
    (folder / WEIGHTS).write_bytes(pickle.dumps(_Bomb(), protocol=4))
    seal(folder)


def _zip_instead(folder):
    (folder / WEIGHTS).write_bytes(b"PK\x03\x04" + bytes(200))
    seal(folder)


def _changed_byte(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(data))


def _metadata(path, value):
    def change(folder):
        _edit_json(folder, METADATA, lambda tree: _set(tree, path, value))
        seal(folder)

    return change


def _manifest(path, value):
    return lambda folder: _edit_json(folder, MANIFEST, lambda tree: _set(tree, path, value))


def _extra(name):
    def change(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")

    return change


def _sealed_extra(name):
    def change(folder):
        _extra(name)(folder)
        seal(folder)

    return change


def _weights(change):
    return lambda folder: _edit_weights(folder, change)


def _remove(name):
    return lambda folder: (folder / name).unlink()


def _link(folder):
    target = folder.parent / "elsewhere"
    target.write_bytes((folder / "LICENSE").read_bytes())
    (folder / "LICENSE").unlink()
    (folder / "LICENSE").symlink_to(target)


def _truncated_manifest(folder):
    (folder / MANIFEST).write_text('{"schema": ')


ENTRY = {"sha256": "0" * 64, "bytes": 1}
FAULTS = {
    "a byte of the weights": (_changed_byte, "bundle.changed"),
    "a text file longer": (lambda f: (f / "docs/README.md").open("a").write("x"), "bundle.changed"),
    "a file missing": (_remove("LICENSE"), "bundle.missing"),
    "the weights missing": (_remove(WEIGHTS), "bundle.missing"),
    "the manifest missing": (_remove(MANIFEST), "bundle.missing"),
    "the manifest cut short": (_truncated_manifest, "bundle.manifest"),
    "the manifest a list": (lambda f: (f / MANIFEST).write_text("[]"), "bundle.manifest"),
    "the manifest without files": (_manifest(["files"], {}), "bundle.manifest"),
    "the manifest with a key more": (_manifest(["run"], "x"), "bundle.manifest"),
    "an entry without a hash": (_manifest(["files", "LICENSE"], {"bytes": 3}), "bundle.manifest"),
    "a file in place of a link": (_link, "bundle.missing"),
    "a file more": (_extra("docs/more.txt"), "bundle.extra_file"),
    "a pickle beside": (_extra("models/model.pt"), "bundle.pickle"),
    "a pickle beside, listed": (_sealed_extra("models/model.pt"), "bundle.pickle"),
    "code beside, listed": (_sealed_extra("scripts/run.py"), "bundle.pickle"),
    "a pickle in place of the weights": (_pickle_instead, "bundle.pickle"),
    "a zip in place of the weights": (_zip_instead, "bundle.pickle"),
    "a name that climbs": (_manifest(["files", "../secret"], ENTRY), "bundle.path"),
    "an absolute name": (_manifest(["files", "/etc/passwd"], ENTRY), "bundle.path"),
    "a name with backslashes": (_manifest(["files", "..\\secret"], ENTRY), "bundle.path"),
    "a future version": (_manifest(["schema"], "nvc_bundle/2"), "bundle.version"),
    "a target to instantiate": (_metadata(["nvc", "_target_"], "os.system"), "bundle.expression"),
    "an expression": (_metadata(["description"], "$__import__('os').system('true')"), "bundle.expression"),
    "a reference": (_metadata(["description"], "@network"), "bundle.expression"),
    "channels in another order": (_metadata(["nvc", "outputs", 1], "vein"), "bundle.classes"),
    "another number of inputs": (_metadata(["nvc", "fine", "in_channels"], 2), "bundle.classes"),
    "no spacing": (_metadata(["nvc", "region", "spacing_mm"], 0.0), "bundle.metadata"),
    "a spacing of metres": (_metadata(["nvc", "region", "spacing_mm"], 1000.0), "bundle.metadata"),
    "no description": (_metadata(["nvc"], None), "bundle.metadata"),
    "a patch that does not divide": (_metadata(["nvc", "fine", "patch"], 17), "bundle.metadata"),
    "a huge network": (_metadata(["nvc", "fine", "features"], [10**9, 10**9]), "bundle.metadata"),
    "wider features": (_metadata(["nvc", "fine", "features"], [8, 16]), "bundle.shape"),
    "a tensor missing": (_weights(lambda t: t.pop(_first(t))), "bundle.shape"),
    "a tensor more": (_weights(lambda t: t.update(more=np.zeros(3, np.float32))), "bundle.shape"),
    "a tensor of another shape": (
        _weights(lambda t: t.update({_first(t): np.zeros(3, np.float32)})),
        "bundle.shape",
    ),
    "a tensor of doubles": (_weights(lambda t: t.update({_first(t): np.zeros(3)})), "bundle.weights"),
    "a weight that is no number": (_weights(_nan(np.nan)), "bundle.not_finite"),
    "an infinite weight": (_weights(_nan(np.inf)), "bundle.not_finite"),
    "weights cut short": (_truncate, "bundle.weights"),
    "a header of exabytes": (_huge_header, "bundle.weights"),
}


class TestLoading:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_refuses_by_name(self, fault, tiny_bundle):
        change, code = FAULTS[fault]
        change(tiny_bundle)
        with pytest.raises(BundleRefused) as caught:
            load_bundle(str(tiny_bundle))
        assert caught.value.code == code

    def test_refuses_an_oversized_bundle_before_reading_it(self, tiny_bundle, monkeypatch):
        monkeypatch.setattr(module, "MAX_BYTES", 1000)
        with pytest.raises(BundleRefused) as caught:
            load_bundle(str(tiny_bundle))
        assert caught.value.code == "bundle.size"

    def test_loads_what_was_written(self, tiny_bundle):
        bundle = load_bundle(str(tiny_bundle))
        assert set(bundle.part("fine"))
        assert set(bundle.part("locator"))
        assert bundle.sha256 == load_bundle(str(tiny_bundle)).sha256

    def test_a_missing_folder_is_a_missing_bundle(self, tmp_path):
        with pytest.raises(BundleRefused) as caught:
            load_bundle(str(tmp_path / "nothing"))
        assert caught.value.code == "bundle.missing"


class TestWriting:
    def test_never_overwrites(self, tiny_bundle):
        bundle = load_bundle(str(tiny_bundle))
        before = (tiny_bundle / MANIFEST).read_bytes()
        with pytest.raises(UsageError) as caught:
            write_bundle(tiny_bundle, bundle.metadata, {}, None)
        assert caught.value.code == "train.exists"
        assert (tiny_bundle / MANIFEST).read_bytes() == before


def test_calibration_of_a_new_bundle_changes_nothing():
    calibration = Calibration.identity()
    assert set(calibration.scale) == {1.0}
    assert set(calibration.bias) == {0.0}


def test_a_name_is_looked_up_in_the_package_first(tmp_path):
    assert bundle_path("facial_nvc").parent.name == "bundles" or not bundle_path("facial_nvc").exists()
    assert bundle_path(str(tmp_path)) == tmp_path
