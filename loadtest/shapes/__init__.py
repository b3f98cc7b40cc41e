"""
The shapes of a run as tables, without Locust: how many users of which classes are there at which second.

sale.py has the one LoadTestShape, which picks among them. This package imports nothing, because Locust's import
changes the standard library of whoever does it.
"""

from loadtest.shapes.stages import (
    OVER,
    SHAPES,
    Size,
    Stage,
    classes_at,
    in_turn,
    length_s,
    sales_of,
    stage_at,
    stages_of,
)

__all__ = ["OVER", "SHAPES", "Size", "Stage", "classes_at", "in_turn", "length_s", "sales_of", "stage_at", "stages_of"]
