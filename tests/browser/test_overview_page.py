"""The page of what the data set holds, in a browser: on a phone and on a screen, light and dark."""

import pytest
from photo_world import World
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

LONG = "a_name_without_blanks_" * 8


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize(
    ("scheme", "background"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")]
)
def test_it_fits_the_width_in_light_and_dark(browser_page: Page, tmp_path, width, scheme, background):
    world = World(tmp_path)
    world.person(LONG)
    for number in range(8):
        world.photo(LONG, f"{LONG}/{LONG}{number}.jpg", ["several_faces"], num_faces=2)
    world.refusal(LONG, f"{LONG}/{LONG}.txt", "not_a_picture")
    world.write()
    browser_page.set_viewport_size({"width": width, "height": 900})
    browser_page.emulate_media(color_scheme=scheme)
    browser_page.goto(world.path.as_uri())
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    assert browser_page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert browser_page.locator("img").count() == 6
    assert browser_page.locator("img").first.evaluate("image => image.complete && image.naturalWidth > 0")
