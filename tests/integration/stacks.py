"""`fairclaim up` as a person runs it: a process of its own, told what to do by signals and HTTP."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx2
import msgspec
import psycopg

from gateway.stack.processes import await_until
from gateway.tokens import mint_token
from tests.integration.commands import PATIENT
from tests.verdict import prove_clean_at

UP_S_MAX = 90.0
STOP_S_MAX = 60.0


def environment(**changes: str) -> dict[str, str]:
    """Our environment without anybody's FAIRCLAIM_ variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRCLAIM_")}
    return {**kept, **changes}


def fairclaim(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=UP_S_MAX,
        env=environment(**{**PATIENT, **changes}),
    )


def descendants(pid: int) -> set[int]:
    """Every living process that *pid* is an ancestor of."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            fields = _stat(int(folder.name))
            if fields and fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def lives(pid: int) -> bool:
    """Whether *pid* runs; a process that nobody has waited for yet does not."""
    fields = _stat(pid)
    return fields is not None and fields[0] != "Z"


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on."""
    return _read(pid, "stat").rpartition(")")[2].split() or None


def _started_at(pid: int) -> int:
    """When it was started, in ticks since the machine was."""
    fields = _stat(pid)
    return int(fields[19]) if fields else 0


def _read(pid: int, name: str) -> str:
    """/proc/<pid>/<name>; nothing where the process ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send it; a process that ended meanwhile, as one of PostgreSQL's may, has no need of it."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class Stack:
    """
    One `fairclaim up` on *data_dir*, started by the command *under*. ``with`` kills what still runs at its end.

    A test that makes Redis differ for a moment has *stocktake_s* so long that no stocktake falls into it. Of *settings*
    there are further ones, by their names.
    """

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        under: Sequence[str] = (),
        stocktake_s: int = 10,
        settings: Mapping[str, object] | None = None,
        **popen: Any,
    ) -> None:
        self.data_dir, self._ready_file = data_dir, data_dir.parent / f"{data_dir.name}.ready.json"
        self._output = data_dir.parent / f"{data_dir.name}.output"
        command = [*under, sys.executable, "-m", "gateway.cli", "up", "--data-dir", str(data_dir), *arguments]
        variables = {
            "FAIRCLAIM_PORT": "0",
            "FAIRCLAIM_READY_FILE": str(self._ready_file),
            "FAIRCLAIM_STOCKTAKE_S": str(stocktake_s),
            **{f"FAIRCLAIM_{name.upper()}": str(value) for name, value in (settings or {}).items()},
        }
        self._ready_file.unlink(missing_ok=True)
        with self._output.open("wb") as output:
            popen["env"] = environment(**variables)
            self.process = subprocess.Popen(command, stdout=output, stderr=output, **popen)
        self.ready: dict[str, Any] = {}
        self.http = httpx2.Client(timeout=60, trust_env=False, verify=False)  # no TLS: no certificates to read

    def __enter__(self) -> Self:
        came = await_until(lambda: self._ready_file.exists() or self.process.poll() is not None, UP_S_MAX)
        assert came, self.output
        assert self._ready_file.exists(), self.output
        self.ready = msgspec.json.decode(self._ready_file.read_bytes())
        self.http.base_url = self.ready["gateway_url"]
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S_MAX)

    def parts(self, word: str) -> list[int]:
        """Processes of this stack whose command line contains *word*, in the order in which they were started."""
        found = [pid for pid in descendants(self.process.pid) if word in _read(pid, "cmdline").replace("\0", " ")]
        return sorted(found, key=lambda pid: (_started_at(pid), pid))  # numbers begin anew when they are used up

    def holder(self, name: str) -> dict[str, str]:
        """The Authorization header of a holder."""
        jwt = self.ready["jwt"]
        token = mint_token(
            {jwt["kid"]: jwt["secret"].encode()}, name, audience=jwt["audience"], issuer=jwt["issuer"], ttl_s=600,
            now_s=time.time(),
        )  # fmt: skip
        return {"Authorization": f"Bearer {token}"}

    def claim(self, holder: str, key: str = "k") -> httpx2.Response:
        """One claim of the demo campaign."""
        headers = {**self.holder(holder), "Idempotency-Key": key}
        return self.http.post("/v1/campaigns/demo/claims", json={}, headers=headers)

    def wallet(self, holder: str) -> list[str]:
        """The codes in a holder's wallet, from the books."""
        answer = self.http.get("/v1/coupons", headers=self.holder(holder))
        assert answer.status_code == 200, answer.text
        return [item["code"] for item in answer.json()["items"]]

    def move_demo(self, to: str, role: str = "admin") -> int:
        """Ask for another state of the demo campaign with the key of *role*; the status."""
        headers = {"Authorization": f"Bearer {self.ready[f'{role}_key']}"}
        return self.http.post("/v1/campaigns/demo/state", json={"to": to}, headers=headers).status_code

    def export(self, report: str, format: str) -> bytes:
        """A report as the clerk of the stack makes it."""
        headers = {"Authorization": f"Bearer {self.ready['finance_key']}", "Idempotency-Key": f"{report} {format}"}
        asked = self.http.post("/v1/exports", json={"report": report, "format": format}, headers=headers)
        path = asked.headers["location"]
        assert await_until(lambda: self.http.get(path, headers=headers).json()["state"] == "done", 90), self.output
        return self.http.get(f"{path}/file", headers=headers).content

    def prove_clean(self) -> None:
        """Every invariant holds."""
        asyncio.run(prove_clean_at(self.ready["redis_url"], self.ready["postgres_url"]))

    def booked(self) -> set[str]:
        """Every code in the books."""
        with psycopg.connect(self.ready["postgres_url"]) as connection:
            return {code for (code,) in connection.execute("SELECT code FROM coupons").fetchall()}
