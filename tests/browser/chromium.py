"""
The Chromium the browser tests run in: an installed one, else Playwright's own, else the system's package.

Without any the tests fail and say what was tried; they are never left out.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

INSTALLED = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""The first has no windows to draw around our pages, and takes half the processor time of the others."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera, for scanning
    "--use-fake-ui-for-media-stream",  # and nobody to ask whether it may be used
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no page of ours needs another host
)
INSTALL_S_MAX = 600
START_S_MAX = 60

Which = Callable[[str], str | None]
Run = Callable[[Sequence[str]], bool]
"""Runs a command; tells whether it ended well."""


class NoChromium(Exception):
    """There is no Chromium and none can be had; the text is one line."""


def run(command: Sequence[str]) -> bool:
    """Run *command* without its output; False as well where it is not there or takes too long."""
    limit_s = START_S_MAX if command[-1] == "--version" else INSTALL_S_MAX
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=limit_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find_chromium(
    downloaded: Path, *, which: Which = shutil.which, run: Run = run, may_install: bool = os.geteuid() == 0
) -> str:
    """
    The path of a Chromium that starts; *downloaded* is where Playwright keeps its own.

    *may_install*: whether apt-get may be asked for its package. Errors: NoChromium.
    """
    tried = []
    for path in filter(None, map(which, INSTALLED)):
        if run((path, "--version")):
            return path
        tried.append(f"{path} does not start")
    if run((str(downloaded), "--version")):
        return str(downloaded)
    with _one_at_a_time():
        # Its libraries may be missing here, or another process may have got it meanwhile: look before and after.
        fetch = (sys.executable, "-m", "playwright", "install", "chromium")
        if run((str(downloaded), "--version")) or (run(fetch) and run((str(downloaded), "--version"))):
            return str(downloaded)
        tried.append("playwright install chromium gave none that starts")
        package = which("chromium")
        if package is None and may_install and which("apt-get") is not None:
            if run(("apt-get", "update")):
                run(("apt-get", "install", "-y", "--no-install-recommends", "chromium"))
            package = which("chromium")
            tried.append("apt-get install chromium gave none that starts")
        if package is not None and run((package, "--version")):
            return package
    raise NoChromium(
        f"the browser tests need Chromium: install one of {', '.join(INSTALLED)} (tried: {'; '.join(tried)})"
    )


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of all processes of this user only one installs."""
    with (Path(tempfile.gettempdir()) / f"fairclaim-chromium-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
