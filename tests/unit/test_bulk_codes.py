"""The codes that the bulk generator makes of its own are codes of ours."""

from gateway.codes import parse_code
from loadtest.bulk.codes import codes, head_of


def test_made_codes_are_read_as_codes_of_their_shard() -> None:
    """Each has a right check character, names its campaign and shard, and there is none twice."""
    made = codes(head_of(70_123, 9), 500, seed=3)
    parsed = [parse_code(code) for code in made]

    assert len(set(made)) == 500
    assert {(one.campaign_number, one.shard_number) for one in parsed if one} == {(70_123, 9)}
    assert [one.code for one in parsed if one] == made


def test_the_same_seed_gives_the_same_codes() -> None:
    """What is made twice is the same, and another seed gives others."""
    assert codes("00001", 20, seed=1) == codes("00001", 20, seed=1)
    assert not set(codes("00001", 20, seed=1)) & set(codes("00001", 20, seed=2))
