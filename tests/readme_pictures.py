"""
The four pictures of a sale in the README, taken anew of a larger sale than the test's, into docs/pictures:

    python -m tests.readme_pictures
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.async_api import async_playwright

from loadtest.system import System
from tests.acceptance import test_console_sale as sale
from tests.browser.chromium import FLAGS, find_chromium
from tests.browser.watching import PICTURES
from tests.patience import PATIENT
from tests.planting import ROOT, build

NAMES = ("wizard", "live", "coupon", "books")
BYTES_MAX = 150_000
COLOURS = 96
"""Of a page that has few colours nothing is seen to be missing."""


async def take(folder: Path) -> None:
    """Walk the way of the test; its pictures are in PICTURES then."""
    sale.STOCK, sale.MORE, sale.WAIT_MS_MAX = 2500, 500, 180_000
    sale.CROWD = (
        "--campaign", sale.SALE, "--restock", "0", "--holders", "20000", "--slow-ms", "20000",
        "--fail-on", "errors<=1%", "--shape", "steady", "--users", "40", "--spawn-rate", "4", "--run-time", "30s",
    )  # fmt: skip
    results = folder / "results"
    results.mkdir()
    with System(folder, source=build(folder / "source", sale.CLOCK), no_demo="true", **PATIENT) as system:
        async with async_playwright() as playwright:
            path = find_chromium(Path(playwright.chromium.executable_path))
            browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
            await sale.walk(browser, system, results)
            await browser.close()


def keep() -> None:
    """Copy the four, small. Errors: ValueError for one that is not."""
    (ROOT / "docs/pictures").mkdir(exist_ok=True)
    for name in NAMES:
        kept = ROOT / "docs/pictures" / f"{name}.png"
        Image.open(PICTURES / f"sale-{name}.png").convert("RGB").quantize(COLOURS).save(kept, optimize=True)
        if kept.stat().st_size > BYTES_MAX:
            raise ValueError(f"{kept} has {kept.stat().st_size} bytes, more than {BYTES_MAX}")
        print(f"{kept}: {kept.stat().st_size} bytes")


if __name__ == "__main__":
    with TemporaryDirectory(prefix="fairclaim-pictures-") as folder:
        asyncio.run(take(Path(folder)))
    keep()
    sys.exit(0)
