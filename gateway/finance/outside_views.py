"""Files of orders and their runs as they go out."""

from datetime import date
from typing import Any

import msgspec

from gateway.api.operation import Time
from gateway.routes.paging import Page
from gateway.wire import rfc3339, time_ms
from reconciler.outside import files, matching


class FileView(msgspec.Struct, kw_only=True):
    """
    A file of orders, compared with the redemptions of *entity* from *since* to *until*, days of *zone*.

    *last* is what its last run came to, null before the first one. *corrects* is the first file whose place it takes;
    of those that take the same place, the last one counts.
    """

    id: str
    name: str
    entity: str
    currency: str
    since: date
    until: date
    zone: str
    merchant: str | None
    store: str | None
    measure: files.Measure
    rows: int
    sha256: str
    uploaded_by: str
    uploaded_at: Time
    corrects: str | None
    last: matching.Summary | None = None


class FileList(Page[FileView]):
    """Files, newest first."""


class RunView(msgspec.Struct, kw_only=True):
    """A run; *id* is null for a dry one. *first* are its first differences, in the order of order ids."""

    id: int | None
    file: str
    ran_by: str
    ran_at: Time
    summary: matching.Summary
    first: list[matching.Difference]


class RunList(Page[RunView]):
    """Runs of a file, newest first, without their differences."""


class DifferenceList(Page[matching.Difference]):
    """What of a run does not match, in the order of order ids."""


def file_view(file: files.OutsideFile, last: matching.Summary | dict[str, Any] | None = None) -> FileView:
    """The file as it goes out, with the summary of its *last* run."""
    told = {**msgspec.structs.asdict(file), "uploaded_at": rfc3339(time_ms(file.uploaded_at))}
    return FileView(
        **told, last=None if last is None else msgspec.convert(last, matching.Summary, from_attributes=True)
    )


def run_view(done: matching.Run) -> RunView:
    """The run as it goes out."""
    return RunView(**{**msgspec.structs.asdict(done), "ran_at": rfc3339(time_ms(done.ran_at))})
