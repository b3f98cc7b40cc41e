"""The statements of sql/queries.sql by name."""

from importlib.resources import files

_MARK = "-- name: "


def parse_queries(text: str) -> dict[str, bytes]:
    """Split *text* at its "-- name: x" lines. Errors: ValueError for a name given twice or an empty statement."""
    queries: dict[str, bytes] = {}
    for part in f"\n{text}".split(f"\n{_MARK}")[1:]:
        name, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        statement = "\n".join(lines).strip()
        if name in queries or not statement:
            raise ValueError(f"queries.sql: {name!r} is there twice or empty")
        queries[name] = statement.encode()
    return queries


QUERIES = parse_queries((files("reconciler") / "sql" / "queries.sql").read_text(encoding="utf-8"))
"""Name → statement, as bytes for psycopg."""
