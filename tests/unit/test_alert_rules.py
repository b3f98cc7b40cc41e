"""The rules of alerts: each kind begins at its bound, is held between, is over beyond, and unknown is unknown."""

import pytest

from gateway.alerts.alerts import bounds, checked
from gateway.alerts.figures import Failures, failure_share, of_sale
from gateway.alerts.kinds import ANSWERS_MIN, KINDS, RATE_WINDOW_S, Kind, acted_on_by, seen_by
from gateway.alerts.rules import Changes, Figure, Key, Rules, Threshold
from gateway.console.live.frame import SaleNow
from gateway.console.live.reading import SaleReading
from gateway.errors import Refusal
from gateway.people.person import ROLES, Person
from gateway.telemetry import RESPONSES

LONG_S = 1000.0
"""Longer than any kind waits."""


def subject_of(kind: Kind) -> str:
    """A subject of *kind*."""
    return "flash" if kind.of_campaigns or kind.name == "breaks" else ""


class Looks:
    """Rules that look at one figure, again and again."""

    def __init__(self, kind: Kind, threshold: Threshold | None = None) -> None:
        self.kind = kind
        self.key: Key = kind.name, subject_of(kind)
        self.rules, self.now_s, self.opened = Rules(), 0.0, set[Key]()
        self.thresholds: dict[Key, Threshold] = {}
        if threshold is not None:
            self.thresholds[kind.name, self.key[1] if threshold.is_own else ""] = threshold

    def see(self, value: float | None, after_s: float = LONG_S, own: float | None = None) -> Changes:
        """Look *after_s* later; what begins and is over is written down as the watch does."""
        figures = [Figure(*self.key, value, {}, own)]
        return self._judge(figures, after_s, {self.kind.name})

    def see_nothing(self, after_s: float = LONG_S, *, known: bool = True) -> Changes:
        """Look where there is no such figure."""
        return self._judge([], after_s, {self.kind.name} if known else set())

    def _judge(self, figures: list[Figure], after_s: float, known: set[str]) -> Changes:
        self.now_s += after_s
        changes = self.rules.judge(self.now_s, figures, known, self.thresholds, set(self.opened))
        self.opened |= {(each.kind.name, each.subject) for each in changes.begun}
        self.opened -= set(changes.over)
        return changes

    def begin(self) -> None:
        """An open alert."""
        self.see(self.kind.threshold)
        self.see(self.kind.threshold)
        assert self.opened == {self.key}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def looks(request: pytest.FixtureRequest) -> Looks:
    """Looks at each kind."""
    return Looks(request.param)


def a_bit(kind: Kind, times: float) -> float:
    """A figure just beyond *times* the threshold, on its good side."""
    return kind.threshold * times * (1.001 if kind.is_floor else 0.999)


def test_a_kind_begins_at_its_bound_and_not_before_it(looks: Looks) -> None:
    """Just on the good side nothing begins, however long; at the bound it does, once."""
    kind = looks.kind
    for _ in range(3):
        assert looks.see(a_bit(kind, 1)) == Changes([], [], [])
    looks.see(kind.threshold)
    again = looks.see(kind.threshold)
    assert looks.opened == {looks.key}
    if kind.after_s == 0:
        assert not again.begun
    assert [each.value for each in looks.see(kind.threshold).held] == [kind.threshold]


def test_a_kind_waits_as_long_as_it_says(looks: Looks) -> None:
    """Before after_s nothing begins and before over_s nothing is over; a relapse in between starts again."""
    kind = looks.kind
    first = looks.see(kind.threshold)
    assert bool(first.begun) is (kind.after_s == 0)
    if kind.after_s:
        assert not looks.see(kind.threshold, kind.after_s / 2).begun
        looks.see(a_bit(kind, 1), 0.1)
        assert not looks.see(kind.threshold, kind.after_s / 2).begun
        assert looks.see(kind.threshold, kind.after_s).begun
    fine = a_bit(kind, kind.fine)
    over = looks.see(fine, 1)
    assert bool(over.over) is (kind.over_s == 0)
    if kind.over_s:
        looks.see(kind.threshold, 1)
        assert not looks.see(fine, kind.over_s / 2).over
        assert not looks.see(fine, kind.over_s / 2).over
        assert looks.see(fine, kind.over_s / 2 + 0.01).over == [looks.key]


def test_between_the_bounds_it_stays_as_it_is(looks: Looks) -> None:
    """What is better than the threshold and not yet well neither begins an alert nor ends one."""
    kind = looks.kind
    if kind.fine == 1:
        assert kind.threshold == 1, "a kind without a band counts things"
        return
    between = kind.threshold * (1 + kind.fine) / 2
    assert looks.see(between) == Changes([], [], [])
    looks.begin()
    for _ in range(3):
        held = looks.see(between)
        assert (held.over, len(held.held)) == ([], 1)


def test_what_is_unknown_changes_nothing(looks: Looks) -> None:
    """A figure that can't be told, or a server that is away, neither begins nor ends an alert."""
    assert looks.see(None) == Changes([], [], [])
    looks.begin()
    assert looks.see(None) == Changes([], [], [])
    assert looks.see_nothing(known=False) == Changes([], [], [])
    assert looks.opened == {looks.key}


def test_what_is_gone_is_over(looks: Looks) -> None:
    """A figure that is no longer there, as its sale has ended, ends its alert; a new one later is another alert."""
    looks.begin()
    looks.see_nothing()
    looks.see_nothing()
    assert looks.opened == set()
    looks.begin()


def test_a_new_watch_goes_on_where_the_last_one_was(looks: Looks) -> None:
    """Rules without a memory raise nothing twice, and forget nothing: what is open is told to them."""
    looks.begin()
    looks.rules = Rules()
    assert not looks.see(looks.kind.threshold).begun
    assert looks.opened == {looks.key}


@pytest.mark.parametrize("is_own", [False, True], ids=["everywhere", "own"])
def test_what_is_off_is_not_watched(is_own: bool) -> None:
    """Turned off, nothing begins, and what is open is over at once."""
    looks = Looks(KINDS["low_stock"])
    looks.begin()
    off = Threshold(None, is_off=True, is_own=is_own)
    looks.thresholds = {("low_stock", "flash" if is_own else ""): off}
    assert looks.see(0.0, own=0.0).over == [looks.key]
    assert looks.see(0.0, own=0.0) == Changes([], [], [])


def test_a_campaign_s_own_stock_threshold_counts_coupons() -> None:
    """Of everything it is a share; of one campaign it is coupons, whatever share that is; its default is the share."""
    looks = Looks(KINDS["low_stock"], Threshold(500.0, is_own=True))
    assert not looks.see(0.5, own=501.0).begun
    begun = looks.see(90.0, own=500.0).begun
    assert [(each.value, each.level.unit, each.level.value) for each in begun] == [(500.0, "coupons", 500.0)]
    everywhere = Looks(KINDS["low_stock"], Threshold(50.0))
    assert everywhere.see(50.0, own=1.0).begun[0].level.unit == "%"


def test_the_share_of_failures() -> None:
    """Failures are 5xx of the last minute, from counters that are cumulative; a few answers say nothing."""
    failures = Failures()
    failures.add(0, {RESPONSES.name: (100, 0, 0, 50)})
    assert failures.gone(RESPONSES.name) is None
    failures.add(10, {RESPONSES.name: (190, 0, 0, 60)})
    gone = failures.gone(RESPONSES.name)
    assert gone == [90, 0, 0, 10]
    assert failure_share(gone).value == 10.0
    failures.add(10 + RATE_WINDOW_S, {RESPONSES.name: (290, 0, 0, 60)})
    failures.add(20 + RATE_WINDOW_S, {RESPONSES.name: (290, 0, 0, 60)})
    assert failures.gone(RESPONSES.name) == [100, 0, 0, 0]
    assert failure_share([0, 0, 0, ANSWERS_MIN - 1]).value == 0
    assert failure_share([0, 0, 0, ANSWERS_MIN]).value == 100


def a_sale(**changes: object) -> SaleReading:
    """An open sale of which a tenth is left, and a quarter of the budget."""
    base = SaleReading("flash", "Flash", "active", 0, 10, 90, True, 0, 0.0, budget_minor=400, budget_used=300)
    return base._replace(**changes)  # type: ignore[arg-type]


def test_the_figures_of_a_sale() -> None:
    """Shares of stock and budget, the time that is left while it sells; nothing of what is just being compared."""
    now = SaleNow("flash", "Flash", "active", 10, 90, True, left_s=42.0)
    found = {each.kind: each for each in of_sale(a_sale(), now)}
    assert {kind: each.value for kind, each in found.items()} == {"low_stock": 10, "selling_out": 42, "budget_low": 25}
    assert found["low_stock"].own == 10
    still = SaleNow("flash", "Flash", "active", 10, 90, True)
    assert "selling_out" not in {each.kind for each in of_sale(a_sale(budget_minor=None), still)}
    unready = {each.kind: each.value for each in of_sale(a_sale(ready=False, budget_minor=None), still)}
    assert unready == {"low_stock": None, "selling_out": None}


@pytest.mark.parametrize(
    ("kind", "campaign", "value", "field"),
    [
        ("nope", "", 1, "kind"),
        ("drain_lag", "flash", 10, "campaign"),
        ("low_stock", "", 101, "value"),
        ("low_stock", "", float("nan"), "value"),
        ("failure_rate", "", 0, "value"),
        ("code_probing", "", 10, "value"),
        ("low_stock", "flash", -1, "value"),
    ],
)
def test_a_threshold_that_can_t_be(kind: str, campaign: str, value: float, field: str) -> None:
    """The field that is wrong is named."""
    with pytest.raises(Refusal) as refused:
        checked(kind, campaign, value)
    assert (refused.value.code, refused.value.context["field"]) == ("bad_request", field)


def test_the_table_agrees_with_itself() -> None:
    """Defaults are within their bounds, and every kind is somebody's."""
    for kind in KINDS.values():
        low, high = bounds(kind, is_own=False)
        assert low <= kind.threshold <= high
        assert (kind.fine >= 1) is kind.is_floor or kind.fine == 1
        assert kind.roles


def test_who_sees_and_acts() -> None:
    """An admin all of it, an auditor sees all and acts on none, a store nothing, the others what is theirs."""
    people = {role: Person(role, (role,), role) for role in ROLES}
    assert seen_by(people["admin"]) == acted_on_by(people["admin"]) == list(KINDS)
    assert (seen_by(people["auditor"]), acted_on_by(people["auditor"])) == (list(KINDS), [])
    assert seen_by(people["store"]) == []
    for role in ("marketer", "finance", "operator"):
        assert seen_by(people[role]) == acted_on_by(people[role]) == [k.name for k in KINDS.values() if role in k.roles]
