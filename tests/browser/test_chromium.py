"""Where the browser comes from: the first of three places that gives one that starts, or one clear line."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.browser.chromium import NoChromium, find_chromium

DOWNLOADED = Path("/cache/chrome")
FETCH = (sys.executable, "-m", "playwright", "install", "chromium")


class Machine:
    """A machine where *installed* programs are, *starting* ones start, and what a command gives is in *giving*."""

    def __init__(self, installed: Sequence[str] = (), starting: Sequence[str] = (), **giving: str) -> None:
        self.installed, self.starting, self.giving = set(installed), set(starting), giving
        self.ran: list[Sequence[str]] = []

    def which(self, name: str) -> str | None:
        """As shutil.which."""
        return f"/usr/bin/{name}" if name in self.installed else None

    def run(self, command: Sequence[str]) -> bool:
        """Do what *command* does here."""
        if command[-1] == "--version":
            return command[0] in self.starting
        self.ran.append(command)
        if command == FETCH and "fetch" in self.giving:
            self.starting.add(self.giving["fetch"])
        if command[:2] == ("apt-get", "install") and "apt" in self.giving:
            self.installed.add(self.giving["apt"])
            self.starting.add(f"/usr/bin/{self.giving['apt']}")
        return command != FETCH or "fetch" in self.giving

    def find(self, may_install: bool = True) -> str:
        """find_chromium() here."""
        return find_chromium(DOWNLOADED, which=self.which, run=self.run, may_install=may_install)


def test_an_installed_browser_is_used_as_it_is() -> None:
    """One on the PATH that starts is taken, and nothing is installed; one that does not start is passed over."""
    machine = Machine(["chromium", "google-chrome"], ["/usr/bin/google-chrome"])

    assert machine.find() == "/usr/bin/google-chrome"
    assert machine.ran == []


def test_without_one_playwright_s_own_is_downloaded() -> None:
    """Where none is installed Playwright gets its own, and where it has it already it is not got again."""
    machine = Machine(fetch=str(DOWNLOADED))

    assert [machine.find(), machine.find()] == [str(DOWNLOADED)] * 2
    assert machine.ran == [FETCH]


def test_without_a_download_the_package_is_installed() -> None:
    """Where the download gives none that starts, root asks apt-get."""
    machine = Machine(["apt-get"], apt="chromium")

    assert machine.find() == "/usr/bin/chromium"
    assert [command[:2] for command in machine.ran] == [FETCH[:2], ("apt-get", "update"), ("apt-get", "install")]


@pytest.mark.parametrize("may_install", [True, False])
def test_without_any_there_is_one_clear_line(may_install: bool) -> None:
    """Where none can be had the tests fail with a line that says what to install and what was tried."""
    machine = Machine(["chromium", "apt-get"] if may_install else ["apt-get"])

    with pytest.raises(NoChromium) as caught:
        machine.find(may_install)

    assert "\n" not in str(caught.value)
    assert "install one of chromium-headless-shell, chromium, " in str(caught.value)
    assert "playwright install chromium gave none" in str(caught.value)
    assert FETCH in machine.ran
