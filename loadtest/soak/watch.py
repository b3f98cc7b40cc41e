"""The samples of a run: which process was which part, from when to when, and what it took."""

import redis

from loadtest.soak.levels import Level, Life, Sample, judge
from loadtest.soak.parts import sample
from loadtest.system import System


class Watch:
    """Looks at every process of *system*; *campaign* is the one whose state changes Redis keeps."""

    def __init__(self, system: System, campaign: str) -> None:
        self._root = system.pid
        self._redis = redis.Redis.from_url(system.target.redis_url, decode_responses=True)
        self._counters = f"fc:{{{campaign}/0}}:counters"
        self._lives: dict[tuple[str, int], Life] = {}

    def look(self, at_s: float) -> None:
        """Take a sample of everything. Errors: redis.RedisError."""
        seq = int(self._redis.hget(self._counters, "seq") or 0)
        for (part, pid), taken in sample(self._root, at_s).items():
            life = self._lives.setdefault((part, pid), Life(part, pid, [], []))
            life.samples.append(taken)
            if part == "redis":
                life.seqs.append(seq)

    def running(self) -> dict[str, int]:
        """The process id of each part now."""
        return {part: pid for part, pid in self.now()}

    def files(self) -> list[tuple[str, int]]:
        """How many files each part has open now."""
        return [(part, taken.files) for (part, _), taken in self.now().items()]

    def now(self) -> dict[tuple[str, int], Sample]:
        """What each part takes now, kept nowhere."""
        return sample(self._root, 0.0)

    def levels(self, life_s_min: float) -> list[Level]:
        """How each generation was judged, part by part, in the order they lived."""
        levels = [judge(life, life_s_min) for life in self._lives.values()]
        return sorted(levels, key=lambda level: level.part)  # those of one part stay in order

    def close(self) -> None:
        """Let go of Redis."""
        self._redis.close()
