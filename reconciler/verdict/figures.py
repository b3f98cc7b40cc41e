"""Pure: figures and rows of a verdict, as they are read."""

import re
from collections.abc import Mapping
from typing import Any

_CURRENCY = re.compile("[A-Z]{3}(?= )")


def currency_of(figure: str) -> str | None:
    """The currency whose minor units a figure of this name counts, such as CNY committed; None for anything else."""
    found = _CURRENCY.match(figure)
    return None if found is None else found[0]


def row_text(row: Mapping[str, Any] | None) -> str:
    """The row that violates an invariant, in one line."""
    return ", ".join(f"{name} {_text(value)}" for name, value in (row or {}).items())


def _text(value: Any) -> str:
    return " ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, dict) else str(value)
