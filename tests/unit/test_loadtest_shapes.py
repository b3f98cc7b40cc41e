"""The shapes of a load test: pure tables of stages, drawn over sizes and times."""

import math
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.shapes import OVER, SHAPES, classes_at, in_turn, length_s, sales_of, stage_at, stages_of


class Told(NamedTuple):
    """--users, --spawn-rate and --run-time."""

    users: int = 500
    spawn_rate: float = 10.0
    run_time_s: float | None = None


TABLES = sorted(SHAPES.keys() - {"steady"})
sizes = st.builds(Told, st.integers(1, 100_000), st.floats(0.1, 1e4), st.none() | st.floats(5, 1e6))


@given(st.sampled_from(TABLES), sizes)
def test_stages_follow_each_other_to_the_end_of_the_run(shape: str, told: Told) -> None:
    """Stages end in order, the last with the run; none has more users than were asked for, one has all of them."""
    stages = stages_of(shape, told)
    ends = [0.0, *(stage.until_s for stage in stages)]

    assert all(earlier < later for earlier, later in pairwise(ends))
    assert ends[-1] == length_s(shape, told)
    assert max(stage.users for stage in stages) == told.users
    assert all(stage.users >= 1 and stage.spawn_rate > 0 for stage in stages)


@given(st.sampled_from(TABLES), sizes, st.floats(0, 1, exclude_max=True))
def test_each_moment_of_a_run_has_its_stage(shape: str, told: Told, part: float) -> None:
    """The stage of a moment is the first that has not ended; nothing holds behind the end of the run."""
    stages, moment = stages_of(shape, told), part * length_s(shape, told)
    found = stage_at(shape, moment, told)
    at = stages.index(found)

    assert moment < found.until_s
    assert at == 0 or stages[at - 1].until_s <= moment
    assert stage_at(shape, length_s(shape, told), told).name == OVER


@given(st.sampled_from(TABLES), sizes, st.lists(st.floats(0, 1, exclude_max=True), min_size=1))
def test_no_stage_is_left_out_however_seldom_one_looks(shape: str, told: Told, looks: list[float]) -> None:
    """Whoever looks at any moments plays stage after stage from the first, one a look, up to the due one."""
    names = [stage.name for stage in stages_of(shape, told)]
    at, played = -1, ""
    for part in sorted(looks):
        due = stage_at(shape, part * length_s(shape, told), told)
        before, played = at, in_turn(shape, played, due, told).name
        at = names.index(played)
        assert at == before == names.index(due.name) or before < at == min(before + 1, names.index(due.name))

    assert in_turn(shape, played, stage_at(shape, math.inf, told), told).name == OVER


@given(st.sampled_from(TABLES), sizes)
def test_a_jump_is_over_in_a_second_and_a_climb_takes_its_stage(shape: str, told: Told) -> None:
    """From one stage to the next it takes a second or less, at its rate; a warm-up takes its whole stage."""
    before, began_s = 0, 0.0
    for stage in stages_of(shape, told):
        lasts_s = abs(stage.users - before) / stage.spawn_rate
        if stage.name == "warming up":
            assert lasts_s <= (stage.until_s - began_s) * (1 + 1e-9)
        else:
            assert lasts_s <= 1
        before, began_s = stage.users, stage.until_s


@given(st.sampled_from(TABLES), st.floats(60, 1e5), st.floats(1.5, 10))
def test_a_longer_run_is_the_same_one_slower(shape: str, run_s: float, times: float) -> None:
    """--run-time stretches: the same stages with the same users, none of them shorter."""
    short, long = stages_of(shape, Told(run_time_s=run_s)), stages_of(shape, Told(run_time_s=run_s * times))

    assert [(stage.name, stage.users) for stage in short] == [(stage.name, stage.users) for stage in long]
    assert all(a.until_s < b.until_s for a, b in zip(short, long, strict=True))


@pytest.mark.parametrize("shape", ["retry-storm", "sale"])
@pytest.mark.parametrize("run_s", [10.0, 120.0, 3600.0])
def test_after_a_silence_all_ask_in_the_same_instant(shape: str, run_s: float) -> None:
    """No reply comes through for four seconds however long the run is, less in a very short one; then all ask again."""
    stages = stages_of(shape, Told(run_time_s=run_s))
    [silence] = [stage for stage in stages if stage.drop_replies]
    before = stages[stages.index(silence) - 1]

    assert silence.drop_replies == 1.0
    assert silence.retry_at_s == silence.until_s
    assert silence.until_s - before.until_s == pytest.approx(min(4.0, run_s / 10))


@pytest.mark.parametrize("shape", ["restock", "sale"])
def test_what_is_sold_out_stays_so_until_the_restock(shape: str) -> None:
    """The marketer adds to the stock when the stage of that name has come, and not as soon as he can."""
    stages = stages_of(shape, Told())
    at = [stage.name for stage in stages].index("restock")

    assert [stage.restock for stage in stages] == [number >= at for number in range(len(stages))]


@given(st.sampled_from(TABLES), sizes, st.booleans())
def test_a_stage_never_lacks_somebody_to_play_it(shape: str, told: Told, arrivals: bool) -> None:
    """Arrivals claims in an open loop, Claimer and Bot else; who chose other classes gets those."""
    everybody = ("Arrivals", "Bot", "Claimer", "Finance", "Marketer", "Till", "Wallet")
    for stage in stages_of(shape, told):
        added = classes_at(stage, everybody, arrivals)

        assert added
        assert not {"Claimer", "Bot"} & {*added} if arrivals else "Arrivals" not in added
        assert ("Till" in added) == (not stage.classes or "Till" in stage.classes)
        assert classes_at(stage, ["Finance"], arrivals) == ("Finance",)


def test_steady_is_what_locust_was_told() -> None:
    """Locust's own users and rate hold to the end of --run-time, and for ever without one."""
    assert stage_at("steady", 1e9, Told(7, 3.5)) == ("steady", math.inf, 7, 3.5, (), None, None, True)
    assert stage_at("steady", 29.9, Told(7, 3.5, 30.0)).users == 7
    assert stage_at("steady", 30.0, Told(7, 3.5, 30.0)).name == OVER


def test_one_user_claims() -> None:
    """Whoever tries it with one user or two has claims, by whatever loop, and nobody else who comes before them."""
    present = ("Arrivals", "Bot", "Claimer", "Finance", "Marketer", "Wallet")
    for users, arrivals, added in ((1, False, ("Claimer",)), (2, True, ("Arrivals",))):
        assert classes_at(stage_at("steady", 0.0, Told(users)), present, arrivals) == added
    assert classes_at(stage_at("steady", 0.0, Told(1)), ("Finance",), False) == ("Finance",)
    assert "Finance" in classes_at(stage_at("steady", 0.0, Told(3)), present, False)


def test_shapes_take_the_time_of_their_table_where_nobody_says() -> None:
    """A sale takes two minutes; one shape is of two sales."""
    assert length_s("sale", Told()) == 120.0
    assert {shape: sales_of(shape) for shape in SHAPES if sales_of(shape) > 1} == {"two-sales": 2}


def test_a_shape_there_is_none_of_is_an_error() -> None:
    """Nobody gets a run without a shape by a slip of the pen."""
    with pytest.raises(KeyError, match="spkie"):
        stage_at("spkie", 0.0, Told())
