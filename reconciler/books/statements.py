"""The statements of sql/books.sql by name."""

from importlib.resources import files

from reconciler.queries import parse_queries

BOOKS = parse_queries((files("reconciler") / "sql" / "books.sql").read_text(encoding="utf-8"))
"""Name → statement, as bytes for psycopg."""
