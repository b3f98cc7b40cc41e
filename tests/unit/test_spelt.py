"""What programs keep of a difference, as a person reads it."""

import pytest

from gateway.cli.tables import spelt


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"value": 91}, "91"),
        ({"value": None}, "nothing"),
        ({}, "nothing"),
        ({"seq": 4}, "seq 4"),
        ({"state": "claimed", "holder": "ann", "until_ms": None}, "state claimed; holder ann; until_ms nothing"),
        ({"claims": []}, "claims none"),
        ({"claims": [["C-1", "ab", False], ["C-2", "cd", True]]}, "claims C-1 ab no, C-2 cd yes"),
        (
            {"differences": 2, "matched": {"orders": 1, "here_minor": 500}, "duplicate": {"orders": 0}},
            "differences 2; matched (orders 1; here_minor 500)",
        ),
        ("4", "4"),
    ],
)
def test_it_is_words_and_figures_without_brackets_of_a_program(kept: object, words: str) -> None:
    """Fields with what they are; what is not there is said, and a part that is all 0 is not."""
    assert spelt(kept) == words
