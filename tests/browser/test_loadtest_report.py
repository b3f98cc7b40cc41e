"""The report of a run in a browser, from a file: the charts are drawn, and it is whole, in reach and legible."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from loadtest.report.html import render
from loadtest.report.result import Mark, Result
from tests.browser.watching import DESK, PHONE, WAIT_MS_MAX, Watch, overflow, picture
from tests.run_results import a_red_result, a_result, an_empty_result

pytestmark = pytest.mark.asyncio(loop_scope="session")

Opened = Callable[..., Awaitable[Page]]
DRAWN = """() => [...document.querySelectorAll('.plot')].map(plot => {
  const shown = plot.querySelector('canvas'), copy = new OffscreenCanvas(shown.width, shown.height);
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(shown, 0, 0);
  const all = pen.getImageData(0, 0, copy.width, copy.height).data;
  const lines = [...plot.nextElementSibling.querySelectorAll('.swatch')]
    .map(swatch => getComputedStyle(swatch).backgroundColor.match(/\\d+/g).map(Number));
  return Math.max(...lines.map(line => {
    let pixels = 0;
    for (let at = 0; at < all.length; at += 4)
      if (all[at + 3] > 200 && [0, 1, 2].every(i => Math.abs(all[at + i] - line[i]) < 8)) pixels++;
    return pixels;
  }));
})"""
"""How many pixels of each chart have the colour of one of its lines: those of the line that has most."""
PIXELS_MIN = 5
"""A dot has more."""
FAINT = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = c => {
    const [r, g, b] = c.map(v => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const under = one => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const paint = parse(getComputedStyle(at).backgroundColor);
      if (paint[3]) layers.push(paint);
      if (paint[3] === 1) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const found = [];
  for (const one of document.querySelectorAll('body *:not(script)')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !one.getClientRects().length || one.closest('.unseen, .skip')) continue;
    const below = under(one), ink = over(parse(getComputedStyle(one).color), below);
    const [high, low] = [light(ink), light(below)].sort((a, b) => b - a), contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.push([one.className, one.textContent.slice(0, 30), contrast.toFixed(2)]);
  }
  return found;
}"""
"""Texts that are not told from what is behind them: below 4.5 to 1."""
UNNAMED = """() => {
  const name = one => one.getAttribute('aria-label') || one.textContent.trim() ||
    (one.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id)?.textContent).join('');
  const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
  return {
    nameless: [...document.querySelectorAll('button, a, section, [role], th')].filter(one => !name(one)).length,
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    landmarks: ['header', 'main', 'footer', 'h1'].map(tag => document.querySelectorAll(tag).length),
    headless: [...document.querySelectorAll('table')].filter(table => !table.querySelector('th[scope=col]')).length,
  };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, tmp_path: Path) -> AsyncIterator[Opened]:
    """Opens the page of a result from the disk; the test fails if it says an error or asks for anything else."""
    contexts: list[BrowserContext] = []
    watch = Watch(f"file://{tmp_path}/report.html")

    async def make(result: Result, **options: Any) -> Page:
        file = tmp_path / "report.html"
        file.write_text(render(result), encoding="utf-8")
        context = await browser.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
        context.set_default_timeout(WAIT_MS_MAX)
        contexts.append(context)
        watch.follow(context)
        page = await context.new_page()
        await page.goto(file.as_uri())
        return page

    yield make
    for context in contexts:
        await context.close()
    watch.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "result"), [("clean", a_result()), ("red", a_red_result())], ids=["clean", "red"])
async def test_a_report_is_drawn_and_legible(opened: Opened, name: str, result: Result, scheme: str) -> None:
    """Six charts with their colours, no text that is faint, every control named, nothing beyond the right edge."""
    page = await opened(result, color_scheme=scheme)

    await picture(page, f"loadtest-report-{name}-{scheme}")
    assert [pixels > PIXELS_MIN for pixels in await page.evaluate(DRAWN)] == [True] * 6
    assert await page.evaluate(FAINT) == []
    parts = await page.evaluate(UNNAMED)
    assert parts == {"nameless": 0, "twice": [], "landmarks": [1, 1, 1, 1], "headless": 0}
    assert await overflow(page) == 0


async def test_a_report_fits_a_phone(opened: Opened) -> None:
    """Ten minutes, two campaigns, a long name, many marks: no sideways scroll; a wide table scrolls in itself."""
    marks = [Mark(at_s=3.0 * at, says=f"restock of {at} units") for at in range(200)]
    names = ("sale-7f3a", "a-second-sale-whose-name-is-as-long-as-one-may-be-and-then-some-64")
    page = await opened(a_result(600, campaigns=names, marks=marks), viewport=PHONE, device_scale_factor=2)

    await picture(page, "loadtest-report-phone")
    assert [pixels > PIXELS_MIN for pixels in await page.evaluate(DRAWN)] == [True] * 6
    assert await overflow(page) == 0
    wide = page.locator("#requests .scroll")
    assert await wide.evaluate("one => one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX === 'auto'")


@pytest.mark.parametrize("length", [0, 1])
async def test_odd_runs_are_pages(opened: Opened, length: int) -> None:
    """A run of nothing says so six times; one of a single second is dots."""
    page = await opened(a_result(1) if length else an_empty_result())

    await picture(page, f"loadtest-report-{'second' if length else 'nothing'}")
    assert await page.get_by_text("Nothing to draw").count() == (0 if length else 6)
    assert [pixels > PIXELS_MIN for pixels in await page.evaluate(DRAWN)] == [True] * (6 if length else 0)
    assert await overflow(page) == 0


async def test_without_a_script_there_are_sentences_and_tables(opened: Opened) -> None:
    """No chart is missed: each has its sentence, and every figure its row."""
    page = await opened(a_result(), java_script_enabled=False)

    await picture(page, "loadtest-report-no-script")
    assert await page.locator("figcaption:visible").count() == 6
    assert await page.locator(".plot:visible, .legend:visible").count() == 0
    assert await page.get_by_text("The charts are drawn by a script").is_visible()
    assert await page.locator("#requests tbody tr").count() == 12


async def test_one_cursor_is_on_all_charts(opened: Opened) -> None:
    """The mouse on one chart reads them all at that second; the keyboard does too, and says it; Escape lets go."""
    result = a_result()
    page = await opened(result)
    whens, first = page.locator(".legend .when"), page.locator(".plot").first

    await first.hover(position={"x": 300, "y": 120})
    seen = set(await whens.all_inner_texts())
    assert len(seen) == 1
    assert re.match(r"\d:\d\d", seen.pop())

    await first.focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    assert set(await whens.all_inner_texts()) == {"0:01"}
    second = sum(values[1] for values in result.seconds.outcomes.values())
    assert await page.locator(".legend b").first.inner_text() == f"{second:,}"
    assert (await page.locator("#spoken").inner_text()).startswith(f"0:01, claims/s {second:,}, users 600")
    await page.keyboard.press("Escape")
    assert set(await whens.all_inner_texts()) == {"at most", "in all", "at the end"}


async def test_a_closer_look_is_one_at_all_charts(opened: Opened) -> None:
    """Dragging over one chart stretches the time of all, + and the button too; double-click or the button ends it."""
    page = await opened(a_result())
    whole, plot = page.get_by_role("button", name="Show the whole run"), page.locator(".plot").first
    pictures = "() => [...document.querySelectorAll('.plot canvas')].map(canvas => canvas.toDataURL())"
    before = await page.evaluate(pictures)
    box = await plot.locator(".u-over").bounding_box()
    assert box is not None
    assert not await whole.is_visible()

    await page.mouse.move(box["x"] + 50, box["y"] + 80)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 200, box["y"] + 80, steps=5)
    await page.mouse.up()
    await picture(page, "loadtest-report-closer")
    assert await whole.is_visible()
    assert [one != other for one, other in zip(before, await page.evaluate(pictures), strict=True)] == [True] * 6
    await whole.click()
    await whole.wait_for(state="hidden")

    await plot.focus()
    await page.keyboard.press("+")
    await whole.wait_for()
    await page.keyboard.press("Escape")
    await whole.wait_for(state="hidden")


async def test_a_line_can_be_left_out(opened: Opened) -> None:
    """A press on its name takes a layer out of the pile and puts it back."""
    page = await opened(a_result())
    sold_out = page.locator("#chart-outcomes .legend button", has_text="sold_out")
    canvas = "() => document.querySelector('#chart-outcomes canvas').toDataURL()"
    before = await page.evaluate(canvas)

    await sold_out.press("Enter")
    without = await page.evaluate(canvas)
    assert await sold_out.get_attribute("aria-pressed") == "false"
    await sold_out.press("Enter")

    assert without != before
    assert await page.evaluate(canvas) == before


async def test_tables_sort(opened: Opened) -> None:
    """A press on a heading sorts by it, numbers as numbers from the largest; another press turns it round."""
    page = await opened(a_result())
    counts, head = page.locator("#requests tbody tr td:nth-child(2)"), page.locator("#requests thead th").nth(1)

    async def column() -> list[int]:
        return [int(text.replace(",", "")) for text in await counts.all_inner_texts()]

    await head.get_by_role("button").click()
    assert await head.get_attribute("aria-sort") == "descending"
    falling = await column()
    await head.get_by_role("button").press("Enter")

    assert await head.get_attribute("aria-sort") == "ascending"
    assert falling == sorted(falling, reverse=True)
    assert await column() == falling[::-1]


async def test_a_hostile_name_is_a_name(opened: Opened) -> None:
    """In the charts too, whose legends are made by the script: it is shown as it is."""
    name = "</script><img src=x onerror=\"console.error('got in')\">"
    page = await opened(a_result(20, campaigns=(name,), marks=[Mark(at_s=1.0, says=name)]))

    await page.locator(".plot").first.hover(position={"x": 100, "y": 120})
    assert await page.locator("#chart-stock .legend .of").inner_text() == name
    assert await page.locator("img").count() == 0


async def test_paper_has_all_of_it(opened: Opened) -> None:
    """On paper it is light, the charts fit, and what a screen scrolls is not cut off."""
    page = await opened(a_red_result(), color_scheme="dark")

    paper = await page.pdf(prefer_css_page_size=True)
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 703, "height": 900})
    await picture(page, "loadtest-report-paper")

    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 8
    assert (
        await page.evaluate("getComputedStyle(document.querySelector('.chart')).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    assert await overflow(page) == 0


async def test_figures_that_must_not_be_are_drawn(opened: Opened) -> None:
    """A stock below nothing, an answer in no time, a mark by a wrong clock: seen, and the rest is not pressed flat."""
    seconds = a_result(30).seconds
    odd = msgspec.structs.replace(seconds, stock={"sold-too-often": [4 - at for at in range(30)]}, p50_ms=[0.0] * 30)
    page = await opened(a_result(30, seconds=odd, marks=[Mark(at_s=-3.0, says="before"), Mark(at_s=1e9, says="never")]))

    await picture(page, "loadtest-report-odd")
    assert [pixels > PIXELS_MIN for pixels in await page.evaluate(DRAWN)] == [True] * 6
    await page.locator("#chart-stock .u-over").hover()  # its middle
    assert await page.locator("#chart-stock .legend .when").inner_text() == "0:15"
    assert await page.locator("#chart-stock .legend b").inner_text() == "-11"


async def test_a_part_that_could_not_be_read_is_a_gap(opened: Opened) -> None:
    """Between seconds without a figure a line has a gap, and a lonely figure is a dot; nothing breaks."""
    seconds = a_result(30).seconds
    holes: list[float | None] = [None if at % 3 else 5.0 for at in range(30)]
    page = await opened(a_result(30, seconds=msgspec.structs.replace(seconds, batch_claims=holes, p99_ms=holes)))

    await picture(page, "loadtest-report-gaps")
    assert [pixels > PIXELS_MIN for pixels in await page.evaluate(DRAWN)] == [True] * 6
