"""What a soak came to, for a person and for a program."""

from collections.abc import Sequence
from typing import Any

from loadtest.soak.levels import Level, Rest
from loadtest.soak.restarts import Restart

MIB = 2**20


def screen(levels: Sequence[Level], rests: Sequence[Rest], missing: Sequence[str], life_s_min: float) -> str:
    """The table of generations by the second half of their lives, then what was open at rest."""
    lines = [f"  {'part':<12}{'lived':>8}  {'memory MiB':>15}  {'grew / may':>12}  {'RSS':>7}  {'files':>9}"]
    young = 0
    for level in levels:
        if not level.judged:
            young += 1
            continue
        memory = f"{level.memory_middle / MIB:.1f} → {level.memory_last / MIB:.1f}"
        grew = f"{level.grown / MIB:+.1f} / {level.may_grow / MIB:.1f}"
        files = f"{_count(level.files_last)} ≤ {_count(level.files_max)}"
        lines.append(
            f"  {level.part:<12}{level.life_s:6.0f} s  {memory:>15}  {grew:>12}  {level.resident_max / MIB:7.1f}"
            f"  {files:>9}  {'level' if level.holds else 'GROWS'}"
        )
    if young:
        lines.append(f"  {young} more lived less than {life_s_min:.0f} s and are not judged")
    lines += [f"  {part}: NOT JUDGED, none of it lived long enough" for part in missing]
    lines += [
        f"  {rest.part}: {rest.before} files open before the crowd came, {rest.after} after it"
        f"  {'level' if rest.holds else 'NOT GIVEN BACK'}"
        for rest in rests
    ]
    return "\n".join(lines)


def data(levels: Sequence[Level], rests: Sequence[Rest], played: Sequence[Restart], level: bool) -> dict[str, Any]:
    """As JSON: every generation, judged or not."""
    return {
        "level": level,
        "generations": [{**each._asdict(), "holds": each.holds} for each in levels],
        "files_at_rest": [{**each._asdict(), "holds": each.holds} for each in rests],
        "restarts": [{"at_s": each.at_s, "part": each.part, "signal": each.number.name} for each in played],
    }


def _count(files: int) -> str:
    return "?" if files < 0 else str(files)
