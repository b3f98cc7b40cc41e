"""What a close report says: sections of columns and rows, every cell as text. Both the page and the PDF show it."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal

from gateway.campaigns.currencies import exponent
from reconciler.periods.listing import Signed
from reconciler.periods.report import Account, Campaign, Check, CloseReport, Late, Line, Manual
from reconciler.verdict.figures import currency_of


class Column(NamedTuple):
    """
    A column; a *number* stands to the right, a *code* is set in a fixed width and may break anywhere.

    Neither a number nor what is *whole* is ever broken.
    """

    name: str
    number: bool = False
    code: bool = False
    whole: bool = False


class Section(NamedTuple):
    """
    A heading with a table under it. *totals* are rows that sum those above; *none* is what to say without rows.
    """

    title: str
    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[Sequence[str]] = ()
    none: str = ""


class Document(NamedTuple):
    """The whole report. *facts* are names and what they are."""

    title: str
    period: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]


class BadLocale(ValueError):
    """No locale of CLDR is called so."""


def locale_of(name: str) -> Locale:
    """The locale *name*, such as en, zh-CN or de_AT. Errors: BadLocale."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        raise BadLocale(f"{name!r} is no locale; en, de_AT and zh_CN are some") from None


def word(signed: Signed, report: CloseReport, locale: Locale) -> Document:
    """The report in words. Shape: as the books keep it."""
    return _Wording(report, locale).document(signed)


class _Wording:
    """The sections of one report in one locale."""

    def __init__(self, report: CloseReport, locale: Locale) -> None:
        self._report, self._locale = report, locale

    def document(self, signed: Signed) -> Document:
        """All of it."""
        report, locale = self._report, self._locale
        if report.kind == "month":
            period = format_skeleton("yMMMM", report.starts, locale=locale)
        else:
            period = format_date(report.starts, "long", locale=locale)
        at = format_datetime(signed.closed_at, "yyyy-MM-dd HH:mm:ss", tzinfo=ZoneInfo(report.zone), locale="en")
        days = f"{report.starts} to {report.ends}" if report.starts != report.ends else f"{report.starts}"
        facts = [
            ("Legal entity", report.entity),
            ("Days", days),
            ("Closed by", signed.closed_by),
            ("Closed at", f"{at} {report.zone}"),
            ("Report", f"No. {signed.id}"),
            ("Software", f"Fairclaim {report.software}"),
        ]
        sections = [self._checks(), self._verdict(), *self._trial_balances(), *self._roll_forwards(), self._discounts()]
        return Document("Close report", period, facts, [*sections, self._late(), self._manual(), self._chains()])

    def _number(self, value: int) -> str:
        return self._count(value) if value else "–"

    def _count(self, value: int) -> str:
        return str(format_decimal(value, locale=self._locale))

    def _money(self, minor: int, currency: str, *, zero: str = "–") -> str:
        if not minor:
            return zero
        places = exponent(currency)
        pattern = f"#,##0.{'0' * places}" if places else "#,##0"
        return str(format_decimal(Decimal(minor).scaleb(-places), format=pattern, locale=self._locale))

    def _amount(self, line: Line) -> str:
        if line.commodity.startswith("coupon:"):
            return f"{self._number(line.amount)} {line.commodity}"
        return f"{self._money(line.amount, line.commodity)} {line.commodity}"

    def _lines(self, lines: Sequence[Line]) -> str:
        return "; ".join(f"{self._amount(one)} from {one.source} to {one.destination}" for one in lines)

    def _checks(self) -> Section:
        about = "The period could be closed because all of it held when nothing more could be booked in it."
        return self._held("What was checked of the period", about, "check", "period")

    def _verdict(self) -> Section:
        about = (
            "Every invariant of all the books of the legal entity, and of the sale they are the books of. The figures "
            "are those they were judged by, up to the moment before the close; amounts are in major units."
        )
        return self._held("The verdict on the books", about, "invariant", "books")

    def _held(self, title: str, about: str, of_one: str, of: str) -> Section:
        checks = [one for one in self._report.checks if one.of == of]
        return Section(
            title,
            about,
            [Column(of_one, whole=True), Column("result", whole=True), Column("what it says"), Column("figures")],
            [
                [one.name.replace("_", " "), "holds" if one.holds else "does not", one.says, self._figures(one)]
                for one in checks
            ],
        )

    def _figures(self, one: Check) -> str:
        return ", ".join(self._figure(name, value) for name, value in one.figures.items()) or "–"

    def _figure(self, name: str, value: int) -> str:
        currency = currency_of(name)
        shown = self._count(value) if currency is None else self._money(value, currency, zero=self._zero(currency))
        return f"{shown} {name}"

    def _trial_balances(self) -> Iterable[Section]:
        accounts = self._report.accounts
        names = ("opening", "debit", "credit", "closing")
        for currency in dict.fromkeys(one.currency for one in accounts):
            of_it = [one for one in accounts if one.currency == currency]
            sums = [sum(getattr(one, name) for one in of_it) for name in names]
            yield Section(
                f"Trial balance, {currency}",
                "In major units. A balance is debits less credits; what is below zero is on the credit side.",
                [Column("account"), *(Column(name, number=True) for name in names)],
                [[one.account, *self._amounts(one)] for one in of_it],
                [["All accounts", *(self._money(each, currency, zero=self._zero(currency)) for each in sums)]],
            )
        if not accounts:
            yield Section("Trial balance", "", [Column("account")], [], none="No money was booked up to its end.")

    def _amounts(self, one: Account) -> list[str]:
        return [self._money(each, one.currency) for each in (one.opening, one.debit, one.credit, one.closing)]

    def _zero(self, currency: str) -> str:
        places = exponent(currency)
        return str(format_decimal(0, format=f"0.{'0' * places}" if places else "0", locale=self._locale))

    def _roll_forwards(self) -> Iterable[Section]:
        stock: list[tuple[str, Callable[[Campaign], int]]] = [
            ("opening", lambda one: one.opening_stock),
            ("restocked", lambda one: one.restocked),
            ("withdrawn", lambda one: -one.withdrawn),
            ("claimed", lambda one: -one.claimed),
            ("issued", lambda one: -one.issued),
            ("returned", lambda one: one.returned),
            ("by hand", lambda one: one.manual_stock),
            ("closing", lambda one: one.closing_stock),
        ]
        out: list[tuple[str, Callable[[Campaign], int]]] = [
            ("opening", lambda one: one.opening_out),
            ("claimed", lambda one: one.claimed),
            ("issued", lambda one: one.issued),
            ("redeemed", lambda one: -one.redeemed),
            ("rolled back", lambda one: one.rolled_back),
            ("expired", lambda one: -one.expired),
            ("revoked", lambda one: -one.revoked),
            ("by hand", lambda one: one.manual_out),
            ("closing", lambda one: one.closing_out),
        ]
        yield self._roll_forward("Coupons in stock", "In units: what each campaign could still give out.", stock)
        yield self._roll_forward("Coupons out", "In units: given out and neither used up nor ended.", out)

    def _roll_forward(self, title: str, about: str, columns: list[tuple[str, Callable[[Campaign], int]]]) -> Section:
        campaigns = self._report.campaigns
        kept = [
            (name, of)
            for name, of in columns
            if name in ("opening", "closing") or any(of(one) for one in campaigns)
        ]  # fmt: skip
        return Section(
            title,
            about,
            [Column("campaign"), *(Column(name, number=True) for name, _ in kept)],
            [[one.campaign, *(self._number(of(one)) for _, of in kept)] for one in campaigns],
            [["All campaigns", *(self._number(sum(map(of, campaigns))) for _, of in kept)]] if campaigns else [],
            none="No campaign had coupons.",
        )

    def _discounts(self) -> Section:
        given = [one for one in self._report.campaigns if one.given_minor or one.given_back_minor]
        totals = []
        for currency in dict.fromkeys(one.currency for one in given):
            of_it = [one for one in given if one.currency == currency]
            sums = sum(one.given_minor for one in of_it), sum(one.given_back_minor for one in of_it)
            totals.append(["All campaigns", currency, *self._given(*sums, currency)])
        return Section(
            "Discounts",
            "What redemptions gave away, and what rollbacks gave back.",
            [
                Column("campaign"),
                Column("currency"),
                *(Column(name, number=True) for name in ("given", "given back", "kept")),
            ],
            [
                [one.campaign, one.currency, *self._given(one.given_minor, one.given_back_minor, one.currency)]
                for one in given
            ],
            totals,
            none="Nothing was redeemed and nothing given back.",
        )

    def _given(self, given: int, back: int, currency: str) -> list[str]:
        return [self._money(each, currency) for each in (given, -back, given - back)]

    def _late(self) -> Section:
        report = self._report
        about = "Booked in this period because their own date was closed when they came."
        if report.late_onward:
            about += f" {report.late_onward} of this period's own are booked after it, because it was closed before."
        return Section(
            f"Late entries: {report.late_count}",
            about + self._more(report.late_count, report.late),
            [
                Column("own date", whole=True),
                Column("booked on", whole=True),
                Column("journal", number=True),
                Column("shard, verb and seq"),
                Column("what it moved"),
            ],
            [self._late_row(one) for one in report.late],
            none="Nothing came late.",
        )

    def _late_row(self, one: Late) -> list[str]:
        place = f"{one.shard} {one.verb} {one.first_seq}–{one.last_seq}"
        return [str(one.original_date), str(one.effective_date), str(one.journal), place, self._lines(one.lines)]

    def _manual(self) -> Section:
        report = self._report
        names = ("made by", "approved by", "reason", "attachment", "what it moved")
        return Section(
            f"Manual journals: {report.manual_count}",
            "Made by one person and approved by another." + self._more(report.manual_count, report.manual),
            [Column("journal", number=True), Column("date", whole=True), *(Column(name) for name in names)],
            [
                [
                    str(one.journal), str(one.effective_date), one.made_by, one.checked_by, one.reason,
                    one.attachment or "–", self._lines(one.lines),
                ]
                for one in report.manual
            ],
            none="No journal was made by hand.",
        )  # fmt: skip

    def _more(self, count: int, shown: Sequence[Late | Manual]) -> str:
        return f" The first {len(shown)} of {count}; the others are in the books." if count > len(shown) else ""

    def _chains(self) -> Section:
        return Section(
            "Seals",
            "The hash of the last journal of each chain, as it was proved before the close: it stands for every "
            "journal before it. Whoever keeps this page can tell whether the books were changed since.",
            [Column("chain"), Column("journals", number=True), Column("head", code=True)],
            [[one.shard, self._number(one.journals), one.head or "none"] for one in self._report.chains],
            none="There is no chain.",
        )
