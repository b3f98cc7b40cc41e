"""Pure: figures as people read them."""

from collections.abc import Iterable, Sequence

NONE = "–"
"""Where there is no figure."""


def count(value: float | None) -> str:
    """A whole number with separators."""
    return NONE if value is None else f"{round(value):,}"


def amount(value: float | None) -> str:
    """A number with as many decimals as tell something: 0.012, 0.12, 1.2, 12.3, 1,234."""
    if value is None:
        return NONE
    size = abs(value)
    decimals = 0 if size >= 100 or value == int(value) else 1 if size >= 1 else 2 if size >= 0.1 else 3
    return f"{value:,.{decimals}f}"


def column(values: Sequence[float | None]) -> list[str]:
    """Numbers above each other, each with as many decimals as the smallest needs."""
    smallest = min(filter(None, known(values)), default=100.0)
    decimals = 0 if smallest >= 20 else 1 if smallest >= 0.1 else 2
    return [NONE if value is None else f"{value:,.{decimals}f}" for value in values]


def milliseconds(value: float | None) -> str:
    """A time in ms, from 10 s on in seconds."""
    if value is None:
        return NONE
    return f"{amount(value / 1000)} s" if value >= 10_000 else f"{amount(value)} ms"


def seconds(value: float | None) -> str:
    """A time in s."""
    return NONE if value is None else f"{amount(value)} s"


def percent(share: float | None) -> str:
    """A share of 1 in %; what is not nothing does not look like it."""
    if share is None:
        return NONE
    if 0 < share < 0.0001:
        return "< 0.01 %"
    return f"{share * 100:.{0 if share in (0, 1) else 2 if share < 0.01 else 1}f} %"


def clock(at_s: float) -> str:
    """A time of the run: 0:07, 2:05, 1:02:05."""
    minutes, second = divmod(max(0, int(at_s)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def plural(number: float, one: str, many: str = "") -> str:
    """So many of what."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def known(values: Iterable[float | None]) -> list[float]:
    """Those that there are."""
    return [value for value in values if value is not None]


def median(values: Sequence[float]) -> float | None:
    """The middle one, the lower of two; None of none."""
    return sorted(values)[(len(values) - 1) // 2] if values else None


def shortened(text: str, length: int) -> str:
    """At most *length* characters, an ellipsis where some are left out."""
    return text if len(text) <= length else text[: length - 1] + "…"
