"""
A page as somebody has it who has keys alone: where Tab leads, whether it is seen there, that nothing holds it, and what
becomes of it when a piece of the page is brought up to date.
"""

import asyncio
from typing import Any

from playwright.async_api import CDPSession, Page

from tests.integration.consoling import PASSWORD

TAB = {"type": "rawKeyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
ENTER = {"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
FURTHER_MAX = 40
"""A field for a time has a stop for each of its parts, and counts as one here."""

TABS_MAX = 120
HERE = """() => [document.activeElement].filter((at) => at !== document.body).flatMap(
  (at) => [at.id, at.type === 'submit' && at.value, at.innerText?.trim(), at.name, at.value])"""

FROM_THE_TOP = """() => {
  for (const row of document.querySelectorAll('tbody tr:nth-child(n + 7)')) row.inert = true // as those before
  const seen = (each) => each.checkVisibility({visibilityProperty: true}) && !each.closest('[inert]')
  const radio = (each) => each.type !== 'radio' || each.checked
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]'
  const stopsOf = (piece) => [...piece.querySelectorAll(all)].filter(
    (each) => each.tabIndex >= 0 && !each.disabled && seen(each) && radio(each))
  const stops = stopsOf(document), hasMenu = stops.some((each) => each.closest('.top, nav'))
  const says = (each) => each === document.body ? 'nothing' : each.outerHTML.slice(0, 160)
  const wrong = []
  for (const each of document.querySelectorAll('main *')) {
    const scrolls = each.scrollWidth > each.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(each).overflowX)
    if (scrolls && seen(each) && !stops.includes(each)) wrong.push(`keys can't scroll ${says(each)}`)
  }

  function look(at) {
    const box = at.getClientRects()[0] ?? at.getBoundingClientRect(), style = getComputedStyle(at)
    const off = parseFloat(style.outlineOffset) + parseFloat(style.outlineWidth)
    if (style.outlineStyle === 'none' || !(parseFloat(style.outlineWidth) >= 1)) return 'has no outline'
    const clip = {left: 0, top: 0, right: innerWidth, bottom: innerHeight}
    for (let up = at.parentElement; up && up !== document.body; up = up.parentElement) {
      if (getComputedStyle(up).overflowX === 'visible') continue
      const around = up.getBoundingClientRect()
      for (const side of ['left', 'top']) clip[side] = Math.max(clip[side], around[side])
      for (const side of ['right', 'bottom']) clip[side] = Math.min(clip[side], around[side])
    }
    const left = Math.max(box.left, clip.left), right = Math.min(box.right, clip.right)
    const top = Math.max(box.top, clip.top), bottom = Math.min(box.bottom, clip.bottom)
    if (left >= right || top >= bottom) return 'is out of sight'
    const sides = [box.left - off >= clip.left, box.right + off <= clip.right,
      box.top - off >= clip.top, box.bottom + off <= clip.bottom]
    if (sides.filter(Boolean).length < 2) return 'has an outline that is cut off'
    const over = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
    const parts = [at, ...(at.labels ?? [])]
    const isOurs = over && (over.contains(at) || parts.some((each) => each.contains(over)))
    return isOurs ? '' : `is below ${over ? says(over) : 'nothing'}`
  }

  window.walked = {stops, stopsOf, hasMenu, wrong, at: [], says, look, isOn: true}
  const stay = (asked) => { if (window.walked.isOn) asked.preventDefault() }
  if (!window.isWalked) for (const each of ['htmx:beforeRequest', 'htmx:beforeSwap']) addEventListener(each, stay)
  if (!window.isWalked) addEventListener('keydown', (pressed) => {
    if (pressed.key !== 'Tab') return
    const at = document.activeElement, {at: been, wrong} = window.walked
    if (!at || at === document.body || been.at(-1) === at) return
    const is = window.walked.look(at)
    if (is) wrong.push(`${says(at)} ${is}`)
    been.push(at)
  }, true)
  window.isWalked = true
  document.activeElement.blur()
  document.body.tabIndex = -1
  document.body.focus()
  document.body.removeAttribute('tabindex')
  scrollTo(0, 0)
  return [stops.length, stops.some((each) => /date|time|month|week/.test(each.type))]
}"""
"""
From the top of the page: how many stops there should be. Each press notes where the one before it led. No piece of the
page is brought up to date while it is walked: its stops would be others than those that were counted.
"""

IS_ROUND = "() => walked.at.length > 1 && document.activeElement === walked.at[0]"

FOUND = """() => {
  walked.isOn = false
  for (const row of document.querySelectorAll('tr[inert]')) row.inert = false
  const {stops, at, wrong, says, hasMenu} = walked, first = at[0], here = document.activeElement
  for (let i = 0; i < Math.max(stops.length, at.length); i += 1) {
    if (stops[i] === at[i]) continue
    wrong.push(`stop ${i} should be ${stops[i] ? says(stops[i]) : 'none'} and is ${at[i] ? says(at[i]) : 'none'}`)
    break
  }
  if (hasMenu && !first?.matches('.skip')) wrong.push(`Tab leads first to ${first ? says(first) : 'nothing'}`)
  if (hasMenu && here.id !== 'main') wrong.push(`from the last stop on, the skip link leads to ${says(here)}`)
  return wrong
}"""

REFRESHED = """async () => {
  const {says, stopsOf} = walked, wrong = [], pieces = '[hx-get][hx-trigger^=every], form.filters[hx-get]'
  const name = (each) => [each.tagName, each.id, each.name, each.value, each.href, each.ariaLabel].join()
  for (let i = document.querySelectorAll(pieces).length - 1; i >= 0; i -= 1) {
    for (const which of document.querySelectorAll(pieces)[i]?.matches('form') ? [-1] : [0, -1]) {
      const piece = document.querySelectorAll(pieces)[i], at = piece && stopsOf(piece).at(which)
      if (!at) continue
      const of = (what) => piece.getAttribute(what), was = name(at)
      const target = of('hx-target') ? document.querySelector(of('hx-target')) : piece
      at.focus()
      await htmx.ajax('GET', of('hx-get'), {source: piece, target, select: of('hx-select'), swap: of('hx-swap')})
      const here = document.activeElement, isThere = stopsOf(document).some((each) => name(each) === was)
      if (here === document.body || (isThere && name(here) !== was)) wrong.push(`after a swap ${was} is ${says(here)}`)
    }
  }
  return wrong
}"""
"""What is asked for every few seconds, and what a filter asks for, comes while something in it has the focus."""


async def walk(page: Page, keys: CDPSession) -> list[str]:
    """What is wrong with *page* for who has a keyboard alone, in words; *keys* is a session with it."""
    stops, further = await page.evaluate(FROM_THE_TOP)
    if further:
        await press(keys, *[TAB] * (stops + 2))
        for _ in range(FURTHER_MAX):
            if await page.evaluate(IS_ROUND):
                break
            await press(keys, TAB)
        await press(keys, ENTER)
    else:
        await press(keys, *[TAB] * (stops + 2), ENTER)
    wrong: list[Any] = await page.evaluate(FOUND)
    return [str(each) for each in wrong]


async def refresh(page: Page) -> list[str]:
    """What is wrong with where the focus is once pieces of *page*, which was walked, are brought up to date."""
    return [str(each) for each in await page.evaluate(REFRESHED)]


async def press(keys: CDPSession, *pressed: dict[str, Any]) -> None:
    """Keys, each sent before the one before it is answered: a page is walked in a moment."""
    await asyncio.gather(*(keys.send("Input.dispatchKeyEvent", each) for each in pressed))


class Keys:
    """Somebody on *page* who has a keyboard alone."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def arrive(self, name: str, path: str) -> None:
        """Ask for *path*, sign in as *name*, be led on there, and skip the menu."""
        await self._page.goto(path)
        await self.is_at("name")
        await self.type(name)
        await self.press("Tab")
        await self.type(PASSWORD)
        await self.press("Enter")
        await self.led_to(path)
        await self.press("Tab", "Enter")

    async def led_to(self, path: str) -> None:
        """Wait until the page of exactly this path and query is there."""
        await self._page.wait_for_url(lambda url: url.split("/", 3)[3] == path.removeprefix("/"))

    async def press(self, *names: str) -> None:
        """Keys, one after another, by Playwright's names."""
        for name in names:
            await self._page.keyboard.press(name)

    async def type(self, text: str) -> None:
        """Letters, wherever the focus is."""
        await self._page.keyboard.type(text)

    async def to(self, what: str) -> None:
        """Tab until something has the focus whose id, name, value, or what it says, is *what*."""
        for _ in range(TABS_MAX):
            if what in (await self._page.evaluate(HERE)):
                return
            await self.press("Tab")
        raise AssertionError(f"no Tab leads to {what}")

    async def go(self, what: str) -> None:
        """Tab to *what*, press Enter, and wait until the page that this asks for is there."""
        await self._page.wait_for_load_state()  # of the page before, which is not what is waited for
        await self.to(what)
        async with self._page.expect_event("load"):
            await self.press("Enter")

    async def is_at(self, what: str) -> None:
        """
        What has the focus has the id *what*; where it has none, it stands for or says *what*.

        A page that begins somewhere has the focus there a moment after it is loaded. Errors: playwright's TimeoutError.
        """
        await self._page.wait_for_function(f"(what) => ({HERE})().find(Boolean) === what", arg=what)
