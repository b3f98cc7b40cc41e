"""Coupons straight in the books, for tests of what reads them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from gateway.codes import CodeMaker

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Drained:
    """Coupons as the drain writes them."""

    def __init__(self, postgres_url: str) -> None:
        self._url, self._codes, self._seq = postgres_url, CodeMaker(1, 0), 0

    def add(self, holder: str, count: int = 1, *, minutes: int = 0, step_s: int = 0, **changes: Any) -> list[str]:
        """*count* coupons of *holder*, the first claimed at noon and *minutes*, each *step_s* after the one before."""
        codes = []
        with psycopg.connect(self._url, autocommit=True) as connection:
            for n in range(count):
                self._seq += 1
                claimed_at = NOON + timedelta(minutes=minutes, seconds=n * step_s)
                row = {
                    "code": self._codes.take(1)[0],
                    "campaign": "flash",
                    "shard": "flash/0",
                    "holder": holder,
                    "state": "claimed",
                    "seq": self._seq,
                    "changed_seq": self._seq,
                    "version": 2,
                    "channel": "",
                    "claimed_at": claimed_at,
                    "expires_at": claimed_at + timedelta(days=7),
                    **changes,
                }
                names = ", ".join(row)
                values = ", ".join(f"%({name})s" for name in row)
                connection.execute(f"INSERT INTO coupons ({names}) VALUES ({values})".encode(), row)
                codes.append(row["code"])
        return codes
