"""The page in headless Chromium: an image goes in, and what ran comes out."""

import io

import numpy as np
import pytest
from PIL import Image

from dyncore.demo import demo_page

gradio = pytest.importorskip("gradio", reason="dyncore[demo] is not installed")


@pytest.fixture
def address(cascade):
    page = demo_page(cascade, "two networks")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield url
    page.close()


def test_an_image_is_answered_and_the_dial_changes_what_runs(browser, address, picture, tmp_path):
    file = tmp_path / "picture.png"
    picture.save(file)
    for width, scheme in ((1280, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.set_default_timeout(120_000)  # machines may be busy
        page.goto(address)
        page.locator("input[type=file]").first.set_input_files(str(file))
        said = page.locator(".dyn-said")
        said.wait_for()
        assert said.inner_text() == "2 of 2 members ran; 1 would for any image."
        assert page.locator(".dyn-blocks i.on").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") == width
        dial = page.locator("input[type=range]")
        dial.focus()
        dial.press("Home")
        dial.press("Tab")
        page.locator(".dyn-blocks i.off").wait_for()
        assert said.inner_text() == "1 of 2 members ran; 1 would for any image."
        pixels = Image.open(io.BytesIO(page.screenshot())).convert("L")
        assert (np.median(np.asarray(pixels)) > 128) == (scheme == "light")
        page.close()
