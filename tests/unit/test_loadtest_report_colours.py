"""The colours of the report are told apart by people who see fewer, and from what is behind them."""

import itertools
import re
from importlib.resources import files

import pytest

from loadtest.report.families import FAMILIES

STYLE = (files("loadtest.report") / "page.css").read_text(encoding="utf-8")
SIGHTS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""What is left of linear red, green and blue (Machado, Oliveira and Fernandes 2009, severity 1)."""
DIFFERENCE_MIN, CONTRAST_MIN = 20, 3
"""In CIE Lab, where 2 is just seen side by side; and as WCAG 2.2 asks of what is drawn."""

Colour = tuple[float, float, float]


def colours(theme: str) -> dict[str, str]:
    """The page's colours by name."""
    light, dark = re.findall(r":root(?:\:not\(\.on-paper\))? \{(.*?)\}", STYLE, re.DOTALL)[:2]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if theme == "light" else light + dark))


def linear(shown: str) -> Colour:
    """Linear red, green and blue of #rrggbb."""
    parts = [int(shown[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return red, green, blue


def lab(seen: Colour) -> Colour:
    """CIE Lab under D65."""
    red, green, blue = seen
    tristimulus = (
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
    )
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in tristimulus)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(shown: str, sight: str) -> Colour:
    """What somebody sees of a colour, in CIE Lab."""
    parts = linear(shown)
    first, second, third = (
        min(1.0, max(0.0, sum(share * part for share, part in zip(row, parts, strict=True)))) for row in SIGHTS[sight]
    )
    return lab((first, second, third))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_outcomes_are_told_apart(theme: str, sight: str) -> None:
    """Any two layers of the pile differ, whichever cones somebody lacks."""
    have = colours(theme)
    close = {}
    for one, other in itertools.combinations(FAMILIES, 2):
        pairs = zip(seen(have[one], sight), seen(have[other], sight), strict=True)
        distance = sum((a - b) ** 2 for a, b in pairs) ** 0.5
        if distance < DIFFERENCE_MIN:
            close[one, other] = round(distance, 1)

    assert close == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_drawn_stands_out(theme: str) -> None:
    """Each line and layer has a contrast of 3 to 1 with the card it is drawn on."""
    have = colours(theme)

    def light(name: str) -> float:
        red, green, blue = linear(have[name])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05

    drawn = (*FAMILIES, "blue", "amber", "red", "purple", "green", "grey", "mark")
    faint = {
        name: contrast
        for name in drawn
        if (contrast := max(light(name), light("card")) / min(light(name), light("card"))) < CONTRAST_MIN
    }

    assert faint == {}
