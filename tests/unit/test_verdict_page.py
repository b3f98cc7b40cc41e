"""docs/verdict.md is what the program does: its invariants, measures and outcomes."""

from pathlib import Path
from typing import get_args

from reconciler.outside.files import Measure
from reconciler.outside.matching import OUTCOMES
from reconciler.verdict.invariants import INVARIANTS, QUERIES
from tests.test_docs import names, table

PAGE = (Path(__file__).parents[2] / "docs" / "verdict.md").read_text(encoding="utf-8")


def test_every_invariant_is_in_its_table() -> None:
    """Name and words of each, in the order they are reported in; and each statement that is named is there."""
    rows = table(PAGE, "invariant", "holds when")

    assert [(name, row[1]) for name, row in zip(names(rows), rows, strict=True)] == [
        (each.name, each.says) for each in INVARIANTS
    ]
    assert {name for each in INVARIANTS for name in each.queries} <= QUERIES.keys()


def test_every_measure_and_outcome_is_in_its_table() -> None:
    """What an amount may be, and what may become of an order."""
    assert set(names(table(PAGE, "measure", "an amount of the file is"))) == set(get_args(Measure))
    assert names(table(PAGE, "outcome", "the order")) == ["matched", *OUTCOMES]
