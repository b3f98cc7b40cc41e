"""What a close report says: sections of columns and rows, every cell as text. Both the page and the PDF show it."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_decimal

from gateway.campaigns.currencies import exponent
from gateway.console.locales import N_, Words
from gateway.finance.close_report.document import Column, Document, Section, language_of
from gateway.finance.in_words import CHECK_WORDS, FIGURE_WORDS
from reconciler.periods.listing import Signed
from reconciler.periods.report import Account, Campaign, Check, CloseReport, Late, Line, Manual
from reconciler.verdict.figures import currency_of


def word(signed: Signed, report: CloseReport, locale: Locale, *, in_english: bool = False) -> Document:
    """The report in the words of *locale*, or its numbers in English words. Shape: as the books keep it."""
    return _Wording(report, locale, "en" if in_english else language_of(locale)).document(signed)


class _Wording:
    """The sections of one report in one locale."""

    def __init__(self, report: CloseReport, locale: Locale, language: str) -> None:
        self._report, self._locale = report, locale
        self._words = Words(language, locale, report.zone)
        self._say = self._words.say

    def document(self, signed: Signed) -> Document:
        """All of it."""
        report, locale = self._report, self._locale
        if report.kind == "month":
            period = format_skeleton("yMMMM", report.starts, locale=locale)
        else:
            period = format_date(report.starts, "long", locale=locale)
        at = format_datetime(signed.closed_at, "yyyy-MM-dd HH:mm:ss", tzinfo=ZoneInfo(report.zone), locale="en")
        days = self._say(N_("%(starts)s to %(ends)s"), starts=report.starts, ends=report.ends)
        facts = [
            (self._say(N_("Legal entity")), report.entity),
            (self._say(N_("Days covered")), days if report.starts != report.ends else str(report.starts)),
            (self._say(N_("Closed by")), signed.closed_by),
            (self._say(N_("Closed at")), f"{at} {report.zone}"),
            (self._say(N_("Report")), self._say(N_("No. %(number)s"), number=signed.id)),
            (self._say(N_("Software")), f"Fairclaim {report.software}"),
        ]
        sections = [self._checks(), self._verdict(), *self._trial_balances(), *self._roll_forwards(), self._discounts()]
        return Document(
            self._say(N_("Close report")),
            period,
            facts,
            [*sections, self._late(), self._manual(), self._chains()],
            self._say(N_("Closed")),
            [self._say(N_("Prepared by")), self._say(N_("Reviewed by")), self._say(N_("Date"))],
            self._words.tag,
        )

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
        moved = N_("%(amount)s from %(source)s to %(destination)s")
        return "; ".join(
            self._say(moved, amount=self._amount(one), source=one.source, destination=one.destination) for one in lines
        )

    def _checks(self) -> Section:
        about = N_("The period could be closed because all of it held when nothing more could be booked in it.")
        return self._held(N_("What was checked of the period"), about, N_("check"), "period")

    def _verdict(self) -> Section:
        about = N_(
            "Every invariant of all the books of the legal entity, and of the sale they are the books of. The figures "
            "are those they were judged by, up to the moment before the close; amounts are in major units."
        )
        return self._held(N_("The verdict on the books"), about, N_("invariant"), "books")

    def _held(self, title: str, about: str, of_one: str, of: str) -> Section:
        checks = [one for one in self._report.checks if one.of == of]
        names = [Column(self._say(of_one), whole=True), Column(self._say(N_("result")), whole=True)]
        return Section(
            self._say(title),
            self._say(about),
            [*names, Column(self._say(N_("what it says"))), Column(self._say(N_("figures")))],
            [
                [
                    one.name.replace("_", " "),
                    self._say(N_("holds") if one.holds else N_("does not")),
                    self._says(one),
                    self._figures(one),
                ]
                for one in checks
            ],
        )

    def _says(self, one: Check) -> str:
        """What a check says: as it was signed, or what the catalogue has of it in another language."""
        told = CHECK_WORDS.get(one.name)
        return one.says if told is None or self._words.say(told) == told else self._words.say(told)

    def _figures(self, one: Check) -> str:
        return ", ".join(self._figure(name, value) for name, value in one.figures.items()) or "–"

    def _figure(self, name: str, value: int) -> str:
        currency = currency_of(name)
        shown = self._count(value) if currency is None else self._money(value, currency, zero=self._zero(currency))
        counts = name if currency is None else name.removeprefix(f"{currency} ")
        told = FIGURE_WORDS.get(counts)
        if told is None or self._say(told) == told:
            return f"{shown} {name}"
        return f"{self._say(told)} {shown}" + (f" {currency}" if currency else "")

    def _trial_balances(self) -> Iterable[Section]:
        accounts = self._report.accounts
        names = ("opening", "debit", "credit", "closing")
        heads = [N_("opening"), N_("debit"), N_("credit"), N_("closing")]
        for currency in dict.fromkeys(one.currency for one in accounts):
            of_it = [one for one in accounts if one.currency == currency]
            sums = [sum(getattr(one, name) for one in of_it) for name in names]
            yield Section(
                self._say(N_("Trial balance, %(currency)s"), currency=currency),
                self._say(
                    N_("In major units. A balance is debits less credits; what is below zero is on the credit side.")
                ),
                [Column(self._say(N_("account"))), *(Column(self._say(head), number=True) for head in heads)],
                [[one.account, *self._amounts(one)] for one in of_it],
                [
                    [
                        self._say(N_("All accounts")),
                        *(self._money(each, currency, zero=self._zero(currency)) for each in sums),
                    ]
                ],
            )
        if not accounts:
            none = self._say(N_("No money was booked up to its end."))
            yield Section(self._say(N_("Trial balance")), "", [Column(self._say(N_("account")))], [], none=none)

    def _amounts(self, one: Account) -> list[str]:
        return [self._money(each, one.currency) for each in (one.opening, one.debit, one.credit, one.closing)]

    def _zero(self, currency: str) -> str:
        places = exponent(currency)
        return str(format_decimal(0, format=f"0.{'0' * places}" if places else "0", locale=self._locale))

    def _roll_forwards(self) -> Iterable[Section]:
        stock: list[tuple[str, Callable[[Campaign], int]]] = [
            (N_("opening"), lambda one: one.opening_stock),
            (N_("restocked"), lambda one: one.restocked),
            (N_("withdrawn"), lambda one: -one.withdrawn),
            (N_("claimed"), lambda one: -one.claimed),
            (N_("issued"), lambda one: -one.issued),
            (N_("returned"), lambda one: one.returned),
            (N_("by hand"), lambda one: one.manual_stock),
            (N_("closing"), lambda one: one.closing_stock),
        ]
        out: list[tuple[str, Callable[[Campaign], int]]] = [
            (N_("opening"), lambda one: one.opening_out),
            (N_("claimed"), lambda one: one.claimed),
            (N_("issued"), lambda one: one.issued),
            (N_("redeemed"), lambda one: -one.redeemed),
            (N_("rolled back"), lambda one: one.rolled_back),
            (N_("expired"), lambda one: -one.expired),
            (N_("revoked"), lambda one: -one.revoked),
            (N_("by hand"), lambda one: one.manual_out),
            (N_("closing"), lambda one: one.closing_out),
        ]
        about = N_("In units: what each campaign could still give out.")
        yield self._roll_forward(N_("Coupons in stock"), about, stock)
        yield self._roll_forward(N_("Coupons out"), N_("In units: given out and neither used up nor ended."), out)

    def _roll_forward(self, title: str, about: str, columns: list[tuple[str, Callable[[Campaign], int]]]) -> Section:
        campaigns = self._report.campaigns
        kept = [
            (name, of)
            for name, of in columns
            if name in ("opening", "closing") or any(of(one) for one in campaigns)
        ]  # fmt: skip
        return Section(
            self._say(title),
            self._say(about),
            [Column(self._say(N_("campaign"))), *(Column(self._say(name), number=True) for name, _ in kept)],
            [[one.campaign, *(self._number(of(one)) for _, of in kept)] for one in campaigns],
            [[self._say(N_("All campaigns")), *(self._number(sum(map(of, campaigns))) for _, of in kept)]]
            if campaigns
            else [],
            none=self._say(N_("No campaign had coupons.")),
        )

    def _discounts(self) -> Section:
        given = [one for one in self._report.campaigns if one.given_minor or one.given_back_minor]
        totals = []
        for currency in dict.fromkeys(one.currency for one in given):
            of_it = [one for one in given if one.currency == currency]
            sums = sum(one.given_minor for one in of_it), sum(one.given_back_minor for one in of_it)
            totals.append([self._say(N_("All campaigns")), currency, *self._given(*sums, currency)])
        return Section(
            self._say(N_("Discounts")),
            self._say(N_("What redemptions gave away, and what rollbacks gave back.")),
            [
                Column(self._say(N_("campaign"))),
                Column(self._say(N_("currency"))),
                *(Column(self._say(name), number=True) for name in (N_("given"), N_("given back"), N_("kept"))),
            ],
            [
                [one.campaign, one.currency, *self._given(one.given_minor, one.given_back_minor, one.currency)]
                for one in given
            ],
            totals,
            none=self._say(N_("Nothing was redeemed and nothing given back.")),
        )

    def _given(self, given: int, back: int, currency: str) -> list[str]:
        return [self._money(each, currency) for each in (given, -back, given - back)]

    def _late(self) -> Section:
        report = self._report
        about = self._say(N_("Booked in this period because their own date was closed when they came."))
        if report.late_onward:
            onward = N_("%(count)s of this period's own are booked after it, because it was closed before.")
            about += f" {self._say(onward, count=report.late_onward)}"
        return Section(
            self._say(N_("Late entries: %(count)s"), count=report.late_count),
            about + self._more(report.late_count, report.late),
            [
                Column(self._say(N_("own date")), whole=True),
                Column(self._say(N_("booked on")), whole=True),
                Column(self._say(N_("journal")), number=True),
                Column(self._say(N_("shard, verb and seq"))),
                Column(self._say(N_("what it moved"))),
            ],
            [self._late_row(one) for one in report.late],
            none=self._say(N_("Nothing came late.")),
        )

    def _late_row(self, one: Late) -> list[str]:
        place = f"{one.shard} {one.verb} {one.first_seq}–{one.last_seq}"
        return [str(one.original_date), str(one.effective_date), str(one.journal), place, self._lines(one.lines)]

    def _manual(self) -> Section:
        report = self._report
        names = (N_("made by"), N_("approved by"), N_("reason"), N_("attachment"), N_("what it moved"))
        told = self._say(N_("Made by one person and approved by another."))
        heads = [Column(self._say(N_("journal")), number=True), Column(self._say(N_("date")), whole=True)]
        return Section(
            self._say(N_("Manual journals: %(count)s"), count=report.manual_count),
            told + self._more(report.manual_count, report.manual),
            [*heads, *(Column(self._say(name)) for name in names)],
            [
                [
                    str(one.journal), str(one.effective_date), one.made_by, one.checked_by, one.reason,
                    one.attachment or "–", self._lines(one.lines),
                ]
                for one in report.manual
            ],
            none=self._say(N_("No journal was made by hand.")),
        )  # fmt: skip

    def _more(self, count: int, shown: Sequence[Late | Manual]) -> str:
        told = N_("The first %(shown)s of %(count)s; the others are in the books.")
        return f" {self._say(told, shown=len(shown), count=count)}" if count > len(shown) else ""

    def _chains(self) -> Section:
        return Section(
            self._say(N_("Seals")),
            self._say(
                N_(
                    "The hash of the last journal of each chain, as it was proved before the close: it stands for "
                    "every journal before it. Whoever keeps this page can tell whether the books were changed since."
                )
            ),
            [
                Column(self._say(N_("chain"))),
                Column(self._say(N_("journals")), number=True),
                Column(self._say(N_("head")), code=True),
            ],
            [[one.shard, self._number(one.journals), one.head or self._say(N_("none"))] for one in self._report.chains],
            none=self._say(N_("There is no chain.")),
        )
