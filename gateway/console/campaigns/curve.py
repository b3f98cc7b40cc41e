"""Stock over time as a drawing: steps, because stock stays until it moves. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.campaigns.register import Moved

WIDTH, HEIGHT = 600, 120
_TAIL = 12  # so that what came last is seen


class Curve(NamedTuple):
    """
    *line* and *under* are paths in a box of WIDTH × HEIGHT; *points* are (time, stock after it).

    *later* is what stock was after moves that came when the window was over, such as what expired; None without any.
    """

    line: str
    under: str
    points: list[tuple[datetime, int]]
    most: int
    later: tuple[datetime, int] | None


def curve(moves: Sequence[Moved], parts: int) -> Curve | None:
    """The curve of *moves*, as the register gives them in *parts*; None where nothing has moved yet."""
    points, later, stock = [], None, 0
    for move in moves:
        stock += move.delta
        if move.part > parts:
            later = (move.at, stock)
        else:
            points.append((move.at, stock))
    if not points:
        return None
    most = max(1, *(left for _, left in points)) if len(points) > 1 else max(1, points[0][1])
    first, last = points[0][0], points[-1][0]
    spread_s = (last - first).total_seconds() or 1.0

    def x(at: datetime) -> float:
        return round((at - first).total_seconds() / spread_s * (WIDTH - _TAIL), 1)

    def y(left: int) -> float:
        return round(2 + (1 - left / most) * (HEIGHT - 4), 1)

    line = f"M0 {y(points[0][1])}" + "".join(f"H{x(at)}V{y(left)}" for at, left in points[1:])
    line += f"H{WIDTH}"
    return Curve(line, f"{line}V{HEIGHT}H0Z", points, most, later)
