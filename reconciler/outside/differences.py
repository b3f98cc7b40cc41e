"""Pure: differences of a run as CSV (RFC 4180), which a spreadsheet takes for text and never for a formula."""

import csv
import io
from collections.abc import Sequence

import msgspec

from reconciler.outside.matching import Difference

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_of(differences: Sequence[Difference] | None) -> str:
    """Lines of *differences*; the line with the names of the columns for None."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    if differences is None:
        lines.writerow(Difference.__struct_fields__)
    for each in differences or ():
        lines.writerow([_cell(value) for value in msgspec.structs.astuple(each)])
    return out.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
