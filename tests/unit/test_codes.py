"""Coupon codes: what they carry, what is forgiven in typing them, and what never passes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codes import (
    ALPHABET,
    CAMPAIGN_NUMBER_MAX,
    CODE_CHARS,
    DECOY,
    RANDOM_BITS,
    STOCK_MAX,
    CodeMaker,
    parse_code,
    show_code,
)

NUMBERS = st.integers(1, CAMPAIGN_NUMBER_MAX)
SHARDS = st.integers(0, 31)


@given(NUMBERS, SHARDS)
def test_a_code_leads_to_its_campaign_and_shard(number: int, shard: int) -> None:
    """Campaign number and shard are read back from the code alone."""
    parsed = parse_code(CodeMaker(number, shard).take(1)[0])

    assert parsed is not None
    assert (parsed.campaign_number, parsed.shard_number) == (number, shard)


@given(NUMBERS, SHARDS, st.lists(st.integers(0, 59), min_size=CODE_CHARS, max_size=CODE_CHARS))
def test_a_code_is_read_however_it_is_typed(number: int, shard: int, choices: list[int]) -> None:
    """Any case, hyphens or blanks anywhere, O for 0 and I or L for 1 give the same code."""
    code = CodeMaker(number, shard).take(1)[0]
    typed = ""
    for character, choice in zip(code, choices, strict=True):
        forms = {"0": "0Oo", "1": "1IiLl"}.get(character, character + character.lower())
        typed += forms[choice % len(forms)] + ("", "", "-", " ")[choice % 4]

    parsed = parse_code(typed)
    shown = parse_code(show_code(code))

    assert parsed is not None
    assert shown is not None
    assert parsed.code == shown.code == code


@given(NUMBERS, SHARDS, st.integers(0, CODE_CHARS - 1), st.sampled_from(ALPHABET))
def test_any_single_wrong_character_is_found(number: int, shard: int, at: int, wrong: str) -> None:
    """The check character refuses every code with one character mistyped."""
    code = CodeMaker(number, shard).take(1)[0]
    mistyped = code[:at] + wrong + code[at + 1 :]

    assert (parse_code(mistyped) is None) == (mistyped != code)


@given(NUMBERS, SHARDS, st.lists(st.integers(0, CODE_CHARS - 2), min_size=2, max_size=2, unique=True))
def test_any_two_swapped_characters_are_found(number: int, shard: int, places: list[int]) -> None:
    """Swapping two different characters, neighbours or not, never gives another valid code."""
    code = CodeMaker(number, shard).take(1)[0]
    first, second = sorted(places)
    swapped = list(code)
    swapped[first], swapped[second] = swapped[second], swapped[first]

    assert (parse_code("".join(swapped)) is None) == (code[first] != code[second])


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    """Whatever is typed is a code or None, never an exception."""
    parsed = parse_code(text)

    assert parsed is None or len(parsed.code) == CODE_CHARS


def test_a_lookalike_letter_of_another_script_is_not_a_code() -> None:
    """Only the ASCII alphabet is read: a Cyrillic О or a full-width digit is refused."""
    code = CodeMaker(1, 0).take(1)[0]

    assert parse_code("О" + code[1:]) is None
    assert parse_code("０" + code[1:]) is None


def test_codes_are_distinct_and_use_the_whole_alphabet_evenly() -> None:
    """100,000 codes are all different, and every random place takes each character about equally often."""
    maker = CodeMaker(5, 2)
    codes = [maker.take(1)[0] for _ in range(100_000)]

    assert len(set(codes)) == len(codes)
    for place in range(5, 17):
        seen = Counter(code[place] for code in codes)
        assert set(seen) == set(ALPHABET)
        assert max(seen.values()) < 1.15 * 100_000 / 32


def test_the_space_is_large_enough_for_the_largest_stock() -> None:
    """60 random bits, of which the largest stock allowed takes one in a million."""
    assert RANDOM_BITS >= 60
    assert STOCK_MAX * 1_000_000 <= 1 << RANDOM_BITS


@pytest.mark.parametrize(("number", "shard"), [(0, 0), (CAMPAIGN_NUMBER_MAX + 1, 0), (1, 32), (1, -1)])
def test_a_maker_for_an_impossible_shard_is_refused(number: int, shard: int) -> None:
    """A number that does not fit the code stops loudly and never wraps round."""
    with pytest.raises(AssertionError):
        CodeMaker(number, shard)


def test_the_decoy_looks_like_a_code_and_is_none() -> None:
    """What is looked up in place of what is no code is as long as a code, of its characters, and never given."""
    assert (len(DECOY), set(DECOY) <= set(ALPHABET)) == (CODE_CHARS, True)
    assert parse_code(DECOY) is None
