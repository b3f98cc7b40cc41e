"""The statements of sql/books.sql by name."""

from reconciler.queries import load_queries

BOOKS = load_queries("books")
"""Name → statement, as bytes for psycopg."""
