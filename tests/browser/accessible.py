"""What axe-core 4.14.1 (MPL 2.0, in axe/, for tests alone) finds wrong with a page: WCAG A and AA, good practice."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from playwright.async_api import Page

_AXE = Path(__file__).parent / "axe" / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
"""dist of the npm registry's axe-core-4.14.1.tgz."""

RUN = """async () => {
  const stay = (asked) => asked.preventDefault()
  addEventListener('htmx:beforeSwap', stay)
  const found = await axe.run({resultTypes: ['violations']})
  removeEventListener('htmx:beforeSwap', stay)
  for (const each of document.querySelectorAll('[style=""]')) each.removeAttribute('style')
  return found.violations.flatMap(
    (each) => each.nodes.map((node) => `${each.id} (${each.impact}): ${node.html.slice(0, 200)}`))
}"""
"""
No piece of the page is brought up to date meanwhile: axe writes styles on elements, leaves them behind empty, and htmx
would put them on what comes, which the page's policy forbids.
"""


def read_axe() -> str:
    """The script, as it was published."""
    data = _AXE.read_bytes()
    assert sha256(data).hexdigest() == AXE_SHA256
    return data.decode()


async def violations(page: Page) -> list[str]:
    """Every rule that an element of *page*, once loaded, breaks. It comes by the debugger, whatever its policy."""
    await page.wait_for_load_state()
    await page.evaluate(read_axe())
    found: Any = await page.evaluate(RUN)
    return [str(each) for each in found]
