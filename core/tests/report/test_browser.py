"""The report in headless Chromium: as wide as a phone and as a desk, in light and in dark."""

import io

import numpy as np
from PIL import Image

from dyncore.report import write_report


def test_it_fits_shows_all_figures_and_follows_the_theme(browser, subject, tmp_path):
    subjects = [subject("a model with quite a long name, as recipes have", channels=True)]
    page = write_report(subjects, tmp_path)
    brightness = {}
    for width in (360, 1280):
        for scheme in ("light", "dark"):
            opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
            complaints: list[str] = []
            opened.on("console", lambda message, to=complaints: to.append(message.text))
            opened.goto(page.as_uri())
            assert opened.evaluate("document.documentElement.scrollWidth") == width
            shown = opened.evaluate("[...document.images].map(i => i.naturalWidth > 0 && i.width)")
            assert len(shown) == 6
            assert all(width * 0.4 < each <= width for each in shown)
            assert not complaints
            pixels = Image.open(io.BytesIO(opened.screenshot(full_page=True))).convert("L")
            brightness[width, scheme, "page"] = np.asarray(pixels)
            # Figures have no paper of their own: below them is the page's.
            figure = Image.open(io.BytesIO(opened.locator("img").first.screenshot())).convert("L")
            brightness[width, scheme, "figure"] = np.asarray(figure)
            opened.close()
    for width in (360, 1280):
        for part in ("page", "figure"):
            light, dark = (brightness[width, scheme, part] for scheme in ("light", "dark"))
            assert np.median(light) == 255
            assert np.median(dark) < 30
            assert light.min() < 60  # letters are dark on light
            assert dark.max() > 200  # and light on dark
