"""What a reconciler is told when it starts."""

from dataclasses import dataclass, field

from reconciler.sweeper import SweeperOptions


@dataclass(frozen=True, kw_only=True)
class DrainOptions:
    """
    One reconciler's options. Units: milliseconds.

    *entries_max* bounds a batch of one shard, *stop_ms_max* the last drain after stop; *retry_ms_max* caps the pause
    between tries while a server is away.
    """

    redis_url: str
    postgres_url: str
    entries_max: int = 256
    block_ms: int = 500
    shards_max: int = 1000
    retry_ms_max: int = 2000
    call_ms_max: int = 2000
    connect_ms_max: int = 1000
    postgres_ms_max: int = 3000
    stop_ms_max: int = 15_000
    sweeper: SweeperOptions = field(default_factory=SweeperOptions)
