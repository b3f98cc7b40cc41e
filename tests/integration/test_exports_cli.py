"""`fairclaim export`: asked for, made, copied and compared with its manifest, given up."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.cli.output import CONFLICT, FAILURE, INTERRUPTED, NOT_FOUND, UNAVAILABLE, USAGE
from tests.integration.bookkeeping import add_journals
from tests.integration.commands import Cli
from tests.integration.exporting import Exports


class Interrupted:
    """Ctrl-C while a command waits."""

    @staticmethod
    def sleep(_seconds: float) -> None:
        """Wait."""
        raise KeyboardInterrupt


def test_the_command_line(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Create, list, show, download and cancel; each refusal by its exit code."""
    add_journals(postgres_url, 5)
    site = Exports(postgres_url, tmp_path / "exports")
    monkeypatch.setenv("FAIRCLAIM_POSTGRES_URL", site.url)
    monkeypatch.setenv("FAIRCLAIM_EXPORTS_DIR", str(site.folder))
    monkeypatch.chdir(tmp_path)
    cli = Cli(capsys)

    export = cli.json("export", "create", "journal", "--format", "csv", "--since", "2026-11-01", "--key", "k")
    assert cli.json("export", "create", "journal", "-f", "csv", "--since", "2026-11-01", "--key", "k") == export
    assert cli.json("export", "create", "journal", "--key", "k", code=CONFLICT)["code"] == "idempotency_key_reused"
    assert cli.json("export", "create", "nothing", code=NOT_FOUND)["code"] == "report_not_found"
    assert cli.json("export", "create", "journal", "--campaign", "te", code=NOT_FOUND)["code"] == "not_found"
    assert cli.json("export", "create", "journal", "--store", "s", code=USAGE)["message"].startswith("--store: ")
    assert cli.json("export", "create", "journal", "--format", "pdf", code=USAGE)["message"].startswith("--format: ")
    with monkeypatch.context() as patched:
        patched.setattr("gateway.cli.export.time", Interrupted)
        stopped = cli("export", "create", "journal", "-f", "csv", "--since", "2026-11-01", "--key", "k", "--wait")
    assert (stopped.code, stopped.out) == (INTERRUPTED, "")
    assert f"{export['id']} is made all the same\n  `fairclaim export show {export['id']}`" in stopped.err
    assert cli.json("export", "download", export["id"], code=CONFLICT)["code"] == "not_done"
    assert cli.json("export", "show", export["id"], "--manifest", code=CONFLICT)["code"] == "not_done"
    site.make(export["id"])

    got = cli.json("export", "download", export["id"])
    manifest = json.loads(cli("export", "show", export["id"], "--manifest").out)

    assert sha256((tmp_path / got["file"]).read_bytes()).hexdigest() == manifest["sha256"] == got["sha256"]
    assert [each["state"] for each in cli.json("export", "list")["items"]] == ["done"]
    assert "journal" in cli("export", "list").out
    assert "100" in cli("export", "show", export["id"]).out
    file = next((site.folder / export["id"]).iterdir())
    file.write_bytes(file.read_bytes().replace(b"redeem", b"redeen", 1))
    assert cli("export", "download", export["id"], "-o", "again.csv").code == FAILURE
    file.unlink()
    assert cli.json("export", "download", export["id"], code=UNAVAILABLE)["code"] == "not_here"
    assert [path.name for path in tmp_path.glob("*.csv*")] == [got["file"]]
    assert cli.json("export", "cancel", export["id"])["state"] == "removed"
    assert cli.json("export", "show", "ex_none", code=NOT_FOUND)["code"] == "export_not_found"
