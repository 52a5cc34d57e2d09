"""The audit trail: who did what to which case, each entry sealed by the hash of the one before."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nvc_pipeline.review.database import Database
from nvc_pipeline.store.provenance import sha256_json

_COLUMNS = ("seq", "at_utc", "actor", "action", "object", "before_sha", "after_sha", "reason", "prev_hash")
GENESIS = "0" * 64


@dataclass(frozen=True)
class AuditEntry:
    """One entry. ``hash`` is the SHA-256 of all its other fields as canonical JSON."""

    seq: int
    at_utc: str
    actor: str
    action: str
    object: str
    before_sha: str
    after_sha: str
    reason: str
    prev_hash: str
    hash: str

    def expected_hash(self) -> str:
        """Return the hash that the fields ask for."""
        return sha256_json({name: getattr(self, name) for name in _COLUMNS})


@dataclass(frozen=True)
class AuditReport:
    """What verification found. ``head`` is the last hash: note it elsewhere, and a cut tail shows."""

    entries: int
    readings: int
    head: str
    problems: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, removed or slipped in."""
        return not self.problems


def append(
    database: Database,
    actor: str,
    action: str,
    object_: str,
    *,
    before_sha: str = "",
    after_sha: str = "",
    reason: str = "",
) -> str:
    """Add an entry and return its hash. Call inside a transaction: it holds the chain's order."""
    last = database.query("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    seq, prev = (int(last[0][0]) + 1, str(last[0][1])) if last else (1, GENESIS)
    entry = AuditEntry(
        seq, database.now(), actor, action, object_, before_sha, after_sha, reason, prev, hash=""
    )
    digest = entry.expected_hash()
    values = [getattr(entry, name) for name in _COLUMNS]
    database.query(f"INSERT INTO audit VALUES ({', '.join('?' * 10)})", *values, digest)
    return digest


def entries(database: Database) -> list[AuditEntry]:
    """Return all entries in order."""
    rows = database.query(f"SELECT {', '.join(_COLUMNS)}, hash FROM audit ORDER BY seq")
    return [AuditEntry(int(row[0]), *row[1:]) for row in rows]


def verify(database: Database, expected_head: str = "") -> AuditReport:
    """Check the chain, and that each signed reading is the one that the chain speaks of.

    Parameters
    ----------
    expected_head:
        A head noted earlier; if given it must still be in the chain, which shows a cut tail.
    """
    problems: list[str] = []
    previous, number = GENESIS, 0
    signed: dict[str, str] = {}
    hashes: set[str] = set()
    for entry in entries(database):
        number += 1
        if entry.seq != number:
            problems.append(f"entry {number} is missing")
            number = entry.seq
        if entry.prev_hash != previous:
            problems.append(f"entry {entry.seq} does not follow the one before it")
        if entry.hash != entry.expected_hash():
            problems.append(f"entry {entry.seq} was changed")
        if entry.action == "reading.signed":
            signed[entry.object] = entry.after_sha
        previous = entry.hash
        hashes.add(entry.hash)
    rows = database.query("SELECT case_id, reader, version, sha256, payload FROM readings")
    for case_id, reader, version, digest, payload in rows:
        key = reading_key(case_id, reader, int(version))
        if sha256_json(json.loads(payload)) != digest:
            problems.append(f"the signed reading {key} was changed")
        if signed.pop(key, None) != digest:
            problems.append(f"the signed reading {key} is not the one in the trail")
    problems += [f"the signed reading {key} is missing" for key in sorted(signed)]
    if expected_head and expected_head not in hashes:
        problems.append("the head that was noted earlier is no longer in the chain: its tail was cut")
    return AuditReport(number, len(rows), previous, tuple(problems))


def reading_key(case_id: str, reader: str, version: int) -> str:
    """Return the name of a reading in the trail."""
    return f"{case_id}/{reader}/v{version}"


def as_json_lines(database: Database) -> str:
    """Return the trail as JSON lines, for keeping elsewhere."""
    return "".join(json.dumps(entry.__dict__, sort_keys=True) + "\n" for entry in entries(database))
