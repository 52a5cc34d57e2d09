from __future__ import annotations

import uuid

from pydicom.uid import UID

from nvc_pipeline.store.identity import content_uid, keyed_digest, keyed_token, keyed_uid


def test_uids_are_valid_stable_and_made_of_a_version_8_uuid():
    made = [content_uid("a", str(n)) for n in range(200)] + [keyed_uid(b"k", str(n)) for n in range(200)]
    assert len(set(made)) == 400
    assert all(UID(u).is_valid and len(u) <= 64 for u in made)
    assert all(uuid.UUID(int=int(u.removeprefix("2.25."))).version == 8 for u in made)
    assert content_uid("a", "0") == made[0]


def test_borders_between_parts_count():
    assert content_uid("ab", "c") != content_uid("a", "bc")
    assert keyed_digest(b"k", "ab", "c") != keyed_digest(b"k", "a", "bc")


def test_keys_separate_sites():
    assert keyed_uid(b"one", "1.2") != keyed_uid(b"two", "1.2")
    assert keyed_token(b"one", "x", length=6) == keyed_digest(b"one", "x").hex()[:6]
