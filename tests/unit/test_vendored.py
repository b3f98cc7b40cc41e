"""What is not ours is what its authors published, and its licence is beside it."""

from hashlib import sha256
from pathlib import Path

import pytest

import vendored
from vendored import PACKAGES, UPLOT

ROOM = Path(vendored.__file__).parent


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.folder)
def test_each_file_is_byte_for_byte_what_was_published(package: vendored.Vendored) -> None:
    """The folder has exactly the files that are written down, with their digests, and a licence among them."""
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in (ROOM / package.folder).iterdir()}

    assert found == package.sha256
    assert "LICENSE" in found


def test_there_is_nothing_that_is_not_written_down() -> None:
    """Every folder of the room is one of its packages."""
    folders = {path.name for path in ROOM.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders == {package.folder for package in PACKAGES}


def test_the_version_is_that_of_the_files() -> None:
    """The version that is written down is the one the program says of itself, and other files are not given."""
    assert f"(v{UPLOT.version})" in UPLOT.text("uPlot.iife.min.js")[:100]
    assert UPLOT.text("LICENSE").startswith(f"The {UPLOT.licence} License")
    with pytest.raises(KeyError):
        UPLOT.text("../__init__.py")
