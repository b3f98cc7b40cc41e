"""
Pure: the parts that statements of reports are put together from. What somebody asked for is in parameters, and never
in a statement; the names and clauses in one are ours.
"""

from collections.abc import Mapping, Sequence

from reconciler.reports.shape import Asked, Column, Query

MANUAL_SHARDS = "(ARRAY(SELECT 'manual:' || id FROM legal_entities))"
"""The chains of manual journals."""

SHARDS_OF_CAMPAIGN = "= ANY (ARRAY(SELECT shard FROM checkpoints WHERE campaign = %(campaign)s))"
"""Completes a condition on a shard, so that the index on it is used."""

LIVE = "('outstanding', 'reserved')"

SLOTS = {"day": Column("day", "date", "the day"), "month": Column("month", "date", "the first day of the month")}
"""What of *by* is a time."""


def fill(template: str, **parts: str) -> str:
    """*template* with each {name} replaced by its part."""
    for name, part in parts.items():
        template = template.replace("{" + name + "}", part)
    assert "{" not in template, f"a part is missing in {template}"
    return template


def query_of(asked: Asked, statement: str) -> Query:
    """*statement* with the members of *asked* as its parameters."""
    return Query(statement, {name: getattr(asked, name) for name in Asked.__struct_fields__ if name != "by"})


def conditions(asked: Asked, clauses: Mapping[str, str]) -> str:
    """The clauses, by member of *asked*, of what is asked for; each begins with AND."""
    return "".join(f" AND {clause}" for name, clause in clauses.items() if getattr(asked, name) is not None)


def equal(expression: str, name: str) -> str:
    """The clause that *expression* is the member *name*."""
    return f"{expression} = %({name})s"


def of_books(alias: str) -> dict[str, str]:
    """The clauses of a table of totals a day."""
    return {
        "entity": f"{alias}.entity = %(entity)s",
        "campaign": f"{alias}.shard {SHARDS_OF_CAMPAIGN}",
        "until": f"{alias}.effective_date <= %(until)s::date",
    }


def listed(names: Sequence[str], form: str = "{}") -> str:
    """*names* with commas, each in *form*; each with a comma after it, so that more may follow."""
    return "".join(form.replace("{}", name) + ", " for name in names)


def slot_of(by: Sequence[str]) -> str | None:
    """The time in *by*: day, month, or None."""
    return next((name for name in by if name in SLOTS), None)


def slot_expression(slot: str | None, day: str) -> str:
    """The slot that the date *day* is in; where there is none, one for all."""
    if slot is None:
        return "DATE 'epoch'"
    return day if slot == "day" else f"date_trunc('month', {day}::timestamp)::date"


def slots_between(slot: str | None, found: str) -> str:
    """
    A statement of every slot from since to until, also those without a row; where either is not asked for, from the
    first or to the last in *found*.
    """
    if slot is None:
        return "SELECT DATE 'epoch' AS slot"
    low = slot_expression(slot, "%(since)s::date")
    return fill(
        """SELECT generate_series(
        coalesce({low}, (SELECT min(slot) FROM {found} WHERE slot > '-infinity'))::timestamp,
        coalesce(%(until)s::date, (SELECT max(slot) FROM {found})), interval '1 {slot}')::date AS slot""",
        low=low,
        found=found,
        slot=slot,
    )


def zeros(measures: Sequence[str]) -> str:
    """*measures* with 0 for none, with commas."""
    return ", ".join(f"coalesce({name}, 0) AS {name}" for name in measures)


def distinct(keys: Sequence[str]) -> str:
    """The select list of each of *keys* that there is; where there are none of them, one row whatever is found."""
    return f"DISTINCT {', '.join(keys)} FROM found" if keys else "true AS one"


def filled(found: str, keys: Sequence[str], slot: str | None, measures: Sequence[str]) -> str:
    """
    The body of a WITH: `found`, the statement of *keys*, `slot` and *measures*, and `whole`, the same with a row for
    every slot of each that there is.
    """
    return fill(
        """found AS ({found}),
    others AS (SELECT {others}),
    slots AS ({slots}),
    whole AS (
        SELECT {keys}slot, {zeros}
        FROM others CROSS JOIN slots LEFT JOIN found USING ({keys}slot)
    )""",
        found=found,
        keys=listed(keys),
        others=distinct(keys),
        slots=slots_between(slot, "found"),
        zeros=zeros(measures),
    )


def shown(by: Sequence[str]) -> str:
    """The select list of *by*, whose time is in `slot`."""
    return listed([f"slot AS {name}" if name in SLOTS else name for name in by])


def order(by: Sequence[str], *further: str) -> str:
    """The names to order by: *by*, then *further*."""
    return ", ".join([*by, *further])
