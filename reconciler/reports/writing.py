"""
Reports as files: what they may be written as, and the one way to write one.

    write(report, asked, rows, format, out)   all of it into a file
    chunks(report, asked, rows, format)       piece by piece, for those that are text

Rows are taken as they come and never held together, so a report may be longer than memory. The same rows give the
same bytes, whenever and wherever they are written by the same version of this software.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

from reconciler.reports.asking import BadAsk
from reconciler.reports.rows import Row, Sums, batches, clean
from reconciler.reports.shape import Asked, Report

Format = Literal["csv", "json", "ndjson", "xlsx", "parquet", "beancount"]
"""What a report may be written as."""


class Made(NamedTuple):
    """How a file of a format is called, what its media type is, and what it is for."""

    suffix: str
    media_type: str
    about: str


FORMATS: dict[Format, Made] = {
    "csv": Made("csv", "text/csv; charset=utf-8; header=present", "RFC 4180, amounts as 12.50"),
    "json": Made("json", "application/json", "one object with columns, rows and totals; amounts in minor units"),
    "ndjson": Made("ndjson", "application/x-ndjson", "an object a row, amounts in minor units"),
    "xlsx": Made(
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "for a spreadsheet: numbers, dates, totals that are formulas",
    ),
    "parquet": Made("parquet", "application/vnd.apache.parquet", "typed columns, amounts as decimals"),
    "beancount": Made("beancount", "text/plain; charset=utf-8", "a journal for bean-check; only of the report journal"),
}
assert tuple(FORMATS) == get_args(Format)

STREAMED: tuple[Format, ...] = ("csv", "json", "ndjson", "beancount")
"""Those that can be sent while they are written."""

LEDGER = "journal"
"""The report whose rows are the two sides of postings: the only one that is a journal in plain text."""


def formats_of(report: Report) -> list[Format]:
    """What *report* may be written as."""
    return [name for name in FORMATS if name != "beancount" or report.name == LEDGER]


def check_format(report: Report, format: str) -> Format:
    """*format*, if *report* may be written so. Errors: BadAsk."""
    if format == "beancount" and report.name != LEDGER:
        raise BadAsk("format", f"beancount is a form of the report {LEDGER} alone")
    for one in formats_of(report):
        if one == format:
            return one
    raise BadAsk("format", f"one of {', '.join(formats_of(report))}")


def file_name(report: Report, asked: Asked, format: Format) -> str:
    """What the file is called: the report, the days it is of, and the one that it is as of."""
    days = [str(day) for day in (asked.since, asked.until) if day is not None]
    days += [f"as-of-{asked.as_of}"] if asked.as_of else []
    return f"{'_'.join([report.name, *days])}.{FORMATS[format].suffix}"


def chunks(report: Report, asked: Asked, rows: Iterable[Sequence[Any]], format: Format) -> Iterator[bytes]:
    """
    The file of one of STREAMED, piece by piece.

    Errors: BadAsk for another format; OddCell, where a row is not what the report says.
    """
    if check_format(report, format) not in STREAMED:
        raise BadAsk("format", f"{format} can't be sent while it is written; make an export")
    columns = report.columns(asked)
    cleaned: Iterator[Row] = clean(columns, rows)
    if format == "beancount":
        from reconciler.reports.writing_beancount import beancount_chunks

        return beancount_chunks(columns, asked, cleaned)
    from reconciler.reports.writing_text import csv_chunks, json_chunks, ndjson_chunks

    if format == "csv":
        return csv_chunks(columns, asked, cleaned)
    return ndjson_chunks(columns, cleaned) if format == "ndjson" else json_chunks(report, columns, asked, cleaned)


def write(report: Report, asked: Asked, rows: Iterable[Sequence[Any]], format: Format, out: BinaryIO) -> Sums:
    """
    Write the whole of a report into *out*, which need not be seekable; what its rows sum up to.

    Errors: BadAsk for a format that it can't have; OddCell, where a row is not what the report says; OSError.
    """
    check_format(report, format)
    columns = report.columns(asked)
    sums = Sums(columns)
    counted = _counted(clean(columns, rows), sums)
    if format == "xlsx":
        from reconciler.reports.writing_xlsx import write_xlsx

        write_xlsx(report, columns, asked, counted, out)
    elif format == "parquet":
        from reconciler.reports.writing_parquet import write_parquet

        write_parquet(report, columns, asked, counted, out)
    else:
        for chunk in chunks(report, asked, counted, format):
            out.write(chunk)
    return sums


def _counted(rows: Iterator[Row], sums: Sums) -> Iterator[Row]:
    for batch in batches(rows):
        sums.add(batch)
        yield from batch
