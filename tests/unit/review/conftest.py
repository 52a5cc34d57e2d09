"""A database with a clock that stands still, in either dialect."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nvc_pipeline.config import load_config
from nvc_pipeline.config.review import ReviewConfig
from nvc_pipeline.review.database import Database, open_database

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def config() -> ReviewConfig:
    return load_config().review


@pytest.fixture
def database(config: ReviewConfig, tmp_path: Path) -> Iterator[Database]:
    with open_database(config, tmp_path, clock=lambda: NOW) as opened:
        yield opened


def _postgres_bin() -> Path | None:
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (found / "initdb").is_file():
            return found
    path = shutil.which("initdb")
    return Path(path).parent if path else None


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this session on a socket in a temporary folder."""
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    tools = _postgres_bin()
    if tools is None:
        pytest.skip("no PostgreSQL server is installed here")
    folder = tmp_path_factory.mktemp("pg")
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        for parent in (folder, *folder.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o055)
        shutil.chown(folder, "postgres")
    data = folder / "data"
    run = lambda *args: subprocess.run(  # noqa: E731
        [*user, *map(str, args)], check=True, capture_output=True, timeout=60
    )
    run(tools / "initdb", "-D", data, "-A", "trust", "-U", "nvc", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run(tools / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://nvc@/postgres?host={folder}"
    finally:
        stop = [*user, tools / "pg_ctl", "-D", data, "-m", "immediate", "-t", "50", "stop"]
        subprocess.run([*map(str, stop)], check=False, capture_output=True, timeout=60)


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest, config: ReviewConfig, tmp_path: Path) -> Iterator[Database]:
    """Each dialect in turn, empty."""
    if request.param == "postgres":
        import psycopg

        url = request.getfixturevalue("postgres_url")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        config = config.model_copy(update={"database": url})
    with open_database(config, tmp_path, clock=lambda: NOW) as opened:
        yield opened
