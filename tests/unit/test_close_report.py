"""A close report as a page and as a PDF: what stands in it adds up, is shown whole, and is the same every time."""

import re
import subprocess
import sys
from html import unescape

import msgspec
import pytest

from gateway.finance.close_report.document import BadLocale, Section, locale_of
from gateway.finance.close_report.render import RENDERERS, html, pdf
from gateway.finance.close_report.wording import word
from tests.closing import COUPONS, a_given


def sections(locale: str = "en") -> dict[str, Section]:
    """The sections of the example by their titles."""
    given = a_given()
    return {one.title: one for one in word(given.signed, given.report, locale_of(locale)).sections}


def test_the_trial_balance_of_a_currency_ends_in_zero() -> None:
    """Amounts are in major units, by the places of the currency; what is added up is one currency."""
    cny, jpy = sections()["Trial balance, CNY"], sections()["Trial balance, JPY"]

    assert cny.rows[1] == ["budget:available", "3,800.00", "98,870.00", "61,750.00", "40,920.00"]
    assert cny.totals == [["All accounts", "0.00", "173,064.67", "173,064.67", "0.00"]]
    assert jpy.totals == [["All accounts", "0", "1,200,000", "1,200,000", "0"]]


@pytest.mark.parametrize(
    ("locale", "shown"), [("en", "98,870.00"), ("fr-CA", "98\u00a0870,00"), ("de_DE", "98.870,00"), ("zh", "98,870.00")]
)
def test_money_is_written_as_the_locale_does(locale: str, shown: str) -> None:
    """The marks are the locale's, the places the currency's."""
    title = "试算平衡表，CNY" if locale == "zh" else "Trial balance, CNY"
    assert sections(locale)[title].rows[1][2] == shown


def test_it_is_in_chinese_where_that_is_read() -> None:
    """Every title, head and sentence, but nothing of what people said; who reads another script has English."""
    given = a_given()
    document = word(given.signed, given.report, locale_of("zh_Hans"))
    said = [document.title, document.stamp, *document.signed, *(name for name, _ in document.facts)]
    for one in document.sections:
        said += [one.title, one.about, one.none, *(column.name for column in one.columns)]
        said += [row[2] for row in one.rows if one.columns[1].name == "结果"]
    assert [text for text in said if text and not re.search(r"[\u4e00-\u9fff]", text)] == []
    page = html(given, "zh-CN").decode()
    assert '<html lang="zh-Hans">' in page
    assert "茶の店 &amp; &lt;sons&gt;" in page
    assert '<html lang="en">' in html(given, "zh-TW").decode()


def test_a_locale_that_is_none_is_refused() -> None:
    """By name."""
    for name in ("xx-yy", "", "en_GB_1_2_3", "../etc"):
        with pytest.raises(BadLocale, match="no locale"):
            locale_of(name)


def test_the_roll_forward_adds_up_in_each_row() -> None:
    """Each row's opening and movements come to its closing, with the signs shown; an empty column is left out."""
    for title in ("Coupons in stock", "Coupons out"):
        section = sections()[title]
        for row in [*section.rows, *section.totals]:
            *parts, closing = [int(cell.replace(",", "").replace("–", "0")) for cell in row[1:]]
            assert sum(parts) == closing
        assert "by hand" not in [column.name for column in section.columns]
    assert sections()["Coupons out"].totals[0][-1] == f"{3 * COUPONS['closing_out']:,}"


def test_what_does_not_add_up_is_told() -> None:
    """A campaign whose closing is not what its movements come to says so."""
    [campaign, *_] = a_given().report.campaigns

    assert campaign.adds_up
    assert not msgspec.structs.replace(campaign, closing_stock=0).adds_up
    assert not msgspec.structs.replace(campaign, revoked=0).adds_up


def test_the_page_has_every_cell_and_nothing_that_runs() -> None:
    """Every word of every section is on the page, escaped; there is no script and no address."""
    given = a_given()
    page = html(given, "en").decode()
    text = unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))

    for section in word(given.signed, given.report, locale_of("en")).sections:
        for cell in [section.title, *(cell for row in section.rows for cell in row)]:
            assert cell in text
    assert "茶の店 & <sons>" in text
    assert "<sons>" not in page
    assert not re.search(r"<script|src=|href=|url\(", page)


def test_the_pdf_goes_over_pages_and_says_which() -> None:
    """A hundred campaigns take several pages of A4, each numbered."""
    made = pdf(a_given(campaigns=100), "en")
    pages = len(re.findall(rb"/Type /Page\b", made))

    assert made.startswith(b"%PDF-")
    assert pages > 3
    assert len(re.findall(rb"/MediaBox \[ 0 0 595.\d+ 841.\d+ \]", made)) == pages


@pytest.mark.parametrize("form", RENDERERS)
def test_the_same_report_gives_the_same_bytes(form: str) -> None:
    """Also from a program of its own, at another time."""
    given = a_given()
    command = [sys.executable, "-m", "gateway.finance.close_report", form, "en"]
    made = subprocess.run(command, input=msgspec.json.encode(given), capture_output=True, check=True)

    assert made.stdout == RENDERERS[form](given, "en")
