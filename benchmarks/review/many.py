"""A database with many cases: copies of those that are there, under other names."""

from __future__ import annotations

from nvc_pipeline.review.database import Database


def thousand(database: Database, count: int) -> None:
    """Add copies of the listed cases, pictures and all, until there are ``count``."""
    columns = [str(row[1]) for row in database.query("PRAGMA table_info(cases)")]
    rest = ", ".join(c for c in columns if c not in ("case_id", "score"))
    known = [str(row[0]) for row in database.query("SELECT case_id FROM cases ORDER BY case_id")]
    with database.transaction():
        for number in range(len(known), count):
            database.query(
                f"INSERT INTO cases (case_id, score, {rest}) "
                f"SELECT ?, ?, {rest} FROM cases WHERE case_id = ?",
                f"copy-{number:05d}",
                float(number % 97),
                known[number % len(known)],
            )
