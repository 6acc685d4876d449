"""Draw the picture that a shared link shows: the book's own U-Net under its title.

A browser draws it once, and the file is committed; CHROMIUM names another browser.
"""

import io
import os
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
SIZE = {"width": 1200, "height": 630}
PAGE = """
<body style="margin:0;background:#10243a;color:#fff;font-family:system-ui,sans-serif">
<h1 style="font-size:58px;margin:36px 60px 4px">Image segmentation with U-Net</h1>
<p style="font-size:28px;margin:0 60px 20px;color:#cfd6df">A book that builds the network block by
block and runs on a laptop</p>
<div style="width:850px;margin:auto">{drawing}</div>
"""


def main() -> None:
    """Write book/_static/preview.png, in 64 colors."""
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.set_content(PAGE.format(drawing=(STATIC / "unet.svg").read_text(encoding="utf-8")))
        picture = Image.open(io.BytesIO(page.screenshot()))
        browser.close()
    picture.convert("RGB").quantize(64).save(STATIC / "preview.png", optimize=True)


if __name__ == "__main__":
    main()
