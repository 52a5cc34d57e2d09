"""The configuration refuses what it does not know, and says what was meant."""

import pytest

from nvc_pipeline.config import config_keys, load_config
from nvc_pipeline.errors import UsageError


def test_the_default_file_is_complete() -> None:
    assert load_config().measure.grades.deviation_mm == 0.6


def test_a_setting_lies_over_the_site_file_over_the_default(tmp_path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("measure:\n  grades:\n    deviation_mm: 0.8\n    proximity_limit_mm: 1.5\n")
    config = load_config(site, ["measure.grades.deviation_mm=0.9"])
    assert config.measure.grades.deviation_mm == 0.9
    assert config.measure.grades.proximity_limit_mm == 1.5


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("measure.grades.deviaton_mm=1", "measure.grades.deviation_mm"),
        ("measure.grade.deviation_mm=1", "measure.grades.deviation_mm"),
        ("mesure.zones.transition_to_mm=1", "measure.zones.transition_to_mm"),
    ],
)
def test_an_unknown_key_names_the_nearest(setting: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=nearest) as caught:
        load_config(None, [setting])
    assert caught.value.code == "config.unknown_key"


@pytest.mark.parametrize(
    "setting",
    [
        "measure.grades.deviation_mm=-1",
        "measure.grades.deviation_mm=.nan",
        "measure.grades.deviation_mm=.inf",
        "measure.grades.deviation_mm=wide",
        "measure.grades.deviation_mm=",
        "measure.grades.nerve_area_ratio=1.2",
        "measure.grades=3",
        "measure=",
        "align.seed=1.5",
    ],
)
def test_a_value_out_of_range_is_named(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(None, [setting])
    assert caught.value.code == "config.invalid"
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("setting", ["no equals sign", "=3", "  =3"])
def test_what_is_no_setting_is_named(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(None, [setting])
    assert caught.value.code == "config.setting"


BAD_FILES = {
    "tag": b"measure: !!python/object/apply:os.system ['true']\n",
    "alias bomb": b"a: &a [1,1]\nb: [*a,*a]\n",
    "key twice": b"align:\n  seed: 1\n  seed: 2\n",
    "list": b"- 1\n- 2\n",
    "not utf-8": b"\xff\xfe\x00a",
    "broken": b"align: [1\n",
    "deep": b"[" * 5000,
    "large": b"#" * 1_000_001,
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_by_name(tmp_path, kind: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(BAD_FILES[kind])
    with pytest.raises(UsageError) as caught:
        load_config(path)
    assert caught.value.code == "config.unreadable"


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "none.yaml")
    assert caught.value.code == "config.missing"


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbfalign:\r\n  seed: 5\r\n", b"# only a comment\n"])
def test_empty_bom_and_windows_line_ends_are_fine(tmp_path, content: bytes) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    assert load_config(path).align.seed in (5, load_config().align.seed)


def test_every_key_has_one_place() -> None:
    keys = config_keys()
    assert len(keys) == len(set(keys))
    assert "measure.zones.transition_to_mm" in keys
