"""A Chromium to look at the built pages with, for the tests and for printing."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = "no Chromium or Chrome on this machine (CHROMIUM=/path/to/it names one)"


def launch(playwright: Playwright) -> Browser | None:
    """Start the machine's Chromium or Chrome; None where there is none."""
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, map(shutil.which, [named] if named else NAMES)), None)
    if found is None:
        return None
    options = ["--disable-background-networking", "--disable-component-update"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium refuses to run as root otherwise
    return playwright.chromium.launch(executable_path=found, args=options)
