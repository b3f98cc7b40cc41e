"""The data directory before and while the stack runs: lock, disk, secrets, ready file, logs."""

import os
import stat
from pathlib import Path

import msgspec
import pytest

from gateway.environment import load_settings
from gateway.keys import key_id, make_key
from gateway.people.passwords import generate_password
from gateway.stack.logwatch import LINES_MAX, LogWatch
from gateway.stack.preflight import DISK_FREE_MIB_MIN, InTheWay, hold_data_dir, listen
from gateway.stack.privilege import identity_for
from gateway.stack.processes import LOG_BYTES_MAX, OURSELVES, StackError, base_environment, spawn, tail
from gateway.stack.programs import environment_of
from gateway.stack.ready import describe, ready_paths, remove_ready, url_of, write_ready
from gateway.stack.secrets import load_secrets
from gateway.tokens import parse_keys


def _key() -> str:
    return make_key().text


def test_nearly_full_disk_is_one_line_before_anything_is_written(tmp_path: Path) -> None:
    """A disk with less room than PostgreSQL needs: how much is left, how much is needed, what to do."""
    directory = tmp_path / "data"
    with pytest.raises(StackError) as raised:
        hold_data_dir(directory, free=lambda _: DISK_FREE_MIB_MIN - 1)
    assert str(raised.value) == (
        f"the disk of {directory} is nearly full: {DISK_FREE_MIB_MIN - 1} MiB left, {DISK_FREE_MIB_MIN} MiB are "
        "needed; or use --data-dir"
    )
    assert list(directory.iterdir()) == []


def test_data_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """Whoever holds it is named; when he is gone, however he went, it can be held again."""
    lock = hold_data_dir(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    with pytest.raises(InTheWay, match=rf"\(pid {os.getpid()}\)"):
        hold_data_dir(tmp_path / "data")
    os.close(lock)
    os.close(hold_data_dir(tmp_path / "data"))


def test_secrets_are_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    """The second start gets the first one's; all differ, the keys are keys, the JWT secret is long enough."""
    made = load_secrets(tmp_path, _key, generate_password)
    assert load_secrets(tmp_path, _key, generate_password) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    values = [*msgspec.structs.asdict(made).values()]
    assert len(set(values)) == len(values)
    assert all(key_id(key) for key in (made.admin_key, made.store_key, made.finance_key))
    assert list(parse_keys(made.jwt_keys)) == [made.jwt_kid]


def test_secrets_of_before_there_was_a_console_get_their_password(tmp_path: Path) -> None:
    """A file without a console password gets one, once, and keeps everything else."""
    made = load_secrets(tmp_path, _key, generate_password)
    old = {name: value for name, value in msgspec.structs.asdict(made).items() if name != "console_password"}
    (tmp_path / "secrets.json").write_bytes(msgspec.json.encode(old))

    now = load_secrets(tmp_path, _key, lambda: "a new password")
    assert now == msgspec.structs.replace(made, console_password="a new password")
    assert load_secrets(tmp_path, _key, generate_password) == now


@pytest.mark.parametrize("content", [b"", b"{}", b'{"redis_password": 1}', b"\xff"])
def test_secrets_that_cannot_be_read_are_never_replaced(tmp_path: Path, content: bytes) -> None:
    """The servers' passwords are in the file: a damaged one stops the start and stays as it is."""
    (tmp_path / "secrets.json").write_bytes(content)
    with pytest.raises(StackError, match="put it back from a backup"):
        load_secrets(tmp_path, _key, generate_password)
    assert (tmp_path / "secrets.json").read_bytes() == content


def test_ready_file_appears_at_once_and_goes(tmp_path: Path) -> None:
    """Both ready files have the same content and mode 0600, nothing half-written beside them, and are removed."""
    settings = load_settings(
        {}, data_dir=str(tmp_path), ready_file=str(tmp_path / "r.json"), redis_url="redis://r", jwt_keys="k=" + "s" * 32
    )
    with listen("127.0.0.1", 0) as listening:
        ready = describe(settings, load_secrets(tmp_path, _key, generate_password), listening, "demo", "admin")
    paths = ready_paths(settings)
    write_ready(ready, paths)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert msgspec.json.decode(first)["jwt"] == {
        "secret": "s" * 32, "kid": "k", "audience": "fairclaim", "issuer": "fairclaim"
    }  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    remove_ready(paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secrets.json"]


def test_gateway_url_is_one_that_a_client_here_can_use() -> None:
    """A socket on every address is reached by loopback; IPv6 gets its brackets."""
    with listen("0.0.0.0", 0) as listening:  # noqa: S104 - what is tested
        assert url_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"
    with listen("::1", 0) as listening:
        assert url_of(listening) == f"http://[::1]:{listening.getsockname()[1]}"


def test_host_that_cannot_be_bound_is_one_line() -> None:
    """A name that is none, or an address of another machine, is named."""
    with pytest.raises(StackError, match=r"--host nowhere\.invalid"):
        listen("nowhere.invalid", 0)
    with pytest.raises(StackError, match=r"203\.0\.113\.1"):
        listen("203.0.113.1", 0)


def test_programs_get_exactly_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker reads is what we have, whatever stands in our environment."""
    monkeypatch.setenv("FAIRCLAIM_WORKERS", "7")
    monkeypatch.setenv("FAIRCLAIM_JSON", "1")
    settings = load_settings({}, workers=3, no_demo=True)
    given = environment_of(settings)
    assert load_settings(given) == settings
    assert "FAIRCLAIM_JSON" not in given


def test_errors_in_a_log_are_shown_as_one_line_each(tmp_path: Path) -> None:
    """Errors with the last line of their cause; not what was there before, not half a line, not too many."""
    log, said = tmp_path / "worker.log", list[str]()
    log.write_text('{"level":"error","text":"old"}\n')
    watch = LogWatch({"worker 0": log}, said.append)
    with log.open("a") as file:
        file.write('{"level":"info","text":"fine"}\nplain text\n[1]\n')
        file.write('{"level":"error","text":"went wrong","error":"Traceback\\n  File\\nValueError: 5"}\n{"level":"er')
        file.flush()
        watch.look()
        assert said == ["worker 0: went wrong: ValueError: 5"]
        file.write('ror","text":"half"}\n')
    watch.look()
    assert said[1:] == ["worker 0: half"]
    log.rename(tmp_path / "worker.old.log")
    log.write_text("".join(f'{{"level":"critical","text":"{n}"}}\n' for n in range(LINES_MAX + 2)))
    watch.look()
    assert said[2:] == [f"worker 0: {n}" for n in range(LINES_MAX)] + [f"worker 0: 2 more errors in {log}"]


def test_an_error_that_comes_again_and_again_is_shown_once(tmp_path: Path) -> None:
    """Who tries again all the time fails in the same words: the screen has them once a minute, the log always."""
    log, said = tmp_path / "reconciler.log", list[str]()
    log.touch()
    watch = LogWatch({"reconciler": log}, said.append)
    for _ in range(3):
        with log.open("a") as file:
            file.write('{"level":"error","text":"PostgreSQL is away"}\n' * 2)
        watch.look()
    assert said == ["reconciler: PostgreSQL is away"]


def test_log_is_put_aside_when_it_has_grown(tmp_path: Path) -> None:
    """A log beyond its bound is kept once under another name, and a new one begun."""
    log = tmp_path / "part.log"
    with log.open("wb") as file:
        file.truncate(LOG_BYTES_MAX + 1)
    spawn(["/bin/sh", "-c", "echo hello"], log=log, environment=base_environment()).wait(60)
    assert tail(log) == ["hello"]
    assert (tmp_path / "part.old.log").stat().st_size == LOG_BYTES_MAX + 1


def test_ordinary_user_stays_who_he_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried and nothing changed for an ordinary user."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert identity_for(tmp_path, tmp_path / "data", Path("/nonexistent")) == OURSELVES
