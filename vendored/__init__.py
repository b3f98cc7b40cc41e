"""
Programs of others that our pages carry, byte for byte as their authors publish them, each with its licence.

A room of its own because both a load test's report and the gateway may show them, and neither imports the other.
A test compares the files with the digests that are written down here.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple


class Vendored(NamedTuple):
    """A package: where it is from, on which terms, and its files by name with the SHA-256 of each."""

    folder: str
    version: str
    source: str
    licence: str
    sha256: Mapping[str, str]

    def text(self, name: str) -> str:
        """One of its files, as it is. Errors: KeyError if it has none of that name."""
        if name not in self.sha256:
            raise KeyError(name)
        return (files("vendored") / self.folder / name).read_bytes().decode()


UPLOT = Vendored(
    folder="uplot",
    version="1.6.32",
    source="uplot-1.6.32.tgz of the npm registry: dist/uPlot.iife.min.js, dist/uPlot.min.css and LICENSE",
    licence="MIT",
    sha256={
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    },
)
"""Charts over time."""

PACKAGES = (UPLOT,)
