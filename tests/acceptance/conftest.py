"""The browser of the browser tests, for what is proved in one on a whole system."""

from tests.browser.conftest import browser

__all__ = ["browser"]
