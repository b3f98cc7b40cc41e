"""PostgreSQL refuses root: who it runs as then. Collected for root only (conftest.py), whom it is about."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.stack import privilege
from gateway.stack.postgres import Postgres, packaged_programs
from gateway.stack.privilege import identity_for
from gateway.stack.processes import Identity, StackError, base_environment, spawn, tail
from tests.integration.stacks import Stack
from tests.patience import PATIENT

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that everybody can reach; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="fairclaim-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _forbid_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without the right to make them."""
    works = privilege._works

    def without(identity: Identity, directory: Path, program: Path) -> bool:
        return not identity.namespace and works(identity, directory, program)

    monkeypatch.setattr(privilege, "_works", without)


def test_root_in_a_namespace_is_not_root_and_reads_closed_directories(tmp_path: Path) -> None:
    """Inside, the id is not 0 and a directory of mode 0700 still opens: nothing had to be chowned."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("read me")
    log = tmp_path / "log"
    process = spawn(
        ["/bin/sh", "-c", f"id -u; cat {closed}/file; echo >{closed}/made"],
        log=log, environment=base_environment(), identity=Identity(namespace=True), directory=closed,
    )  # fmt: skip
    if process.wait(60) != 0:  # a container that forbids namespaces says so, and root takes the other way
        assert "unshare" in "".join(tail(log))
        return
    assert tail(log) == ["1000", "read me"]
    assert (closed / "made").stat().st_uid == 0


def test_without_namespaces_root_hands_it_to_nobody(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the programs can be reached by everybody, nobody runs the server, and goes on to own its data."""
    _forbid_namespaces(monkeypatch)
    postgres = Postgres(open_folder / "postgres", password="p")
    if not privilege._works(Identity(uid=NOBODY, gid=NOBODY), open_folder, packaged_programs() / "postgres"):
        with pytest.raises(StackError, match="run as an ordinary user, choose a --data-dir"):
            postgres.start()
        return
    postgres.start()
    try:
        assert Path(f"/proc/{postgres.pid}").stat().st_uid == NOBODY
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        postgres.stop()
    monkeypatch.undo()
    data, program = postgres.directory / "data", packaged_programs() / "postgres"
    assert identity_for(postgres.directory, data, program).uid == NOBODY


def test_where_nothing_works_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No namespaces, and a directory nobody can reach: the three ways out."""
    _forbid_namespaces(monkeypatch)
    with pytest.raises(StackError) as raised:
        Postgres(tmp_path / "postgres", password="p").start()
    text = str(raised.value)
    assert "\n" not in text
    assert all(way in text for way in ("ordinary user", "--data-dir", "--postgres-url"))


def test_up_as_an_ordinary_user(open_folder: Path) -> None:
    """The whole stack runs under a user who is not root: nobody, or where he can't read this checkout, an inner id."""
    as_nobody = Identity(uid=NOBODY, gid=NOBODY)
    if privilege._works(as_nobody, open_folder, Path(sys.executable)):
        os.chown(open_folder, NOBODY, NOBODY)
        owner = NOBODY
        stack = Stack(
            open_folder / "data", "--workers", "1", settings=PATIENT, user=NOBODY, group=NOBODY, extra_groups=[],
            cwd=open_folder,
        )  # fmt: skip
    else:
        owner, under = 0, ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        stack = Stack(open_folder / "data", "--workers", "1", settings=PATIENT, under=under, cwd=open_folder)
    with stack:
        assert (open_folder / "data" / "postgres" / "data").stat().st_uid == owner
        assert stack.claim("ann").status_code == 201
        assert stack.stop() == 0, stack.output
