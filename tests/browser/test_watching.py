"""The watch over the pages sees what it is there for."""

import re

import pytest
from playwright.async_api import Browser

from tests.browser.watching import IN_BROWSER, WAIT_MS_MAX, Watch
from tests.conftest import Eventually
from tests.http import Worker

pytestmark = IN_BROWSER

TROUBLE = [
    ("/healthz", "console.error('oh')", "console error: oh"),
    ("/healthz", "setTimeout(() => { throw new Error('thrown') })", "uncaught: .*thrown"),
    ("/healthz", "fetch('http://elsewhere.test/x').catch(() => 0)", "a request to http://elsewhere.test/x"),
    ("/healthz", "fetch('/nothing-here')", "status of 404"),
    (
        "/console",
        "document.body.append(Object.assign(document.createElement('iframe'), {src: '/x'}))",
        "Content Security Policy",
    ),
]


@pytest.mark.parametrize(
    ("path", "script", "expected"), TROUBLE, ids=["console", "uncaught", "elsewhere", "status", "policy"]
)
async def test_each_kind_of_trouble_is_seen(
    browser: Browser, site: Worker, eventually: Eventually, path: str, script: str, expected: str
) -> None:
    """An error in the console, one uncaught, a request elsewhere, a refusal, a breach of the policy are seen."""
    host = f"127.0.0.1:{site.port}"
    watch = Watch(f"http://{host}/")
    context = await browser.new_context()
    context.set_default_timeout(WAIT_MS_MAX)
    watch.follow(context)
    page = await context.new_page()
    await page.goto(f"http://{host}{path}")
    watch.check()

    await page.evaluate(f"() => {{ {script} }}")
    seen = await eventually(lambda: [line for line in watch.wrong if re.search(expected, line)])

    assert seen
    with pytest.raises(AssertionError):
        watch.check()
    await context.close()
