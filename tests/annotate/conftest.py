"""A headless Chromium for the parts that only run in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--autoplay-policy=no-user-gesture-required")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser; tests that need it skip where Playwright or Chromium is not installed.

    One module at a time: Playwright refuses a second session beside an open one.
    """
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (pip install 'firsthand[dev]')")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGS))
        yield browser
        browser.close()
