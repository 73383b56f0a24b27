"""Dagster's web page as a person uses it: look at the graph and the history, start work, switch the schedule on."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ASSETS = (
    "identity_catalogue",
    "photo_pages",
    "catalogue_pages",
    "raw_photos",
    "rejected_downloads",
    "photo_clusters",
    "watermark_scores",
    "face_detections",
    "curated_photos",
    "captions",
    "poses",
    "latents",
    "bolid_checkpoint",
    "evaluation_report",
)
A_RUN_MS = 300_000
expect.set_options(timeout=60_000)


def test_the_graph_shows_every_asset(browser_page: Page, web_page: str) -> None:
    browser_page.goto(f"{web_page}/asset-groups")
    browser_page.get_by_role("button", name="Materialize all").wait_for()
    browser_page.keyboard.press("Alt+e")  # expands the groups
    for asset in ASSETS:
        expect(browser_page.get_by_text(asset, exact=True).first).to_be_visible()


def test_a_run_of_the_command_line_is_in_the_history_and_one_can_be_started_from_the_page(
    browser_page: Page, web_page: str, project: Path, materialize: Callable[[str], None]
) -> None:
    materialize("identity_catalogue")
    browser_page.goto(f"{web_page}/runs")
    expect(browser_page.get_by_text("Success").first).to_be_visible()

    browser_page.goto(f"{web_page}/assets/raw_photos")
    with browser_page.expect_response(_has_launched):
        browser_page.get_by_role("button", name="Materialize").click()
    browser_page.goto(f"{web_page}/runs?q[0]=status%3ASUCCESS")
    expect(browser_page.get_by_text("raw_photos").first).to_be_visible(timeout=A_RUN_MS)
    assert list((project / "data").rglob("raw_photos/*.parquet"))


def test_an_asset_shows_its_version_a_plot_of_its_rows_and_that_its_code_has_changed(
    browser_page: Page, web_page: str, project: Path, materialize: Callable[[str], None]
) -> None:
    for _ in range(2):
        materialize("identity_catalogue")
    browser_page.goto(f"{web_page}/assets/identity_catalogue?view=events")
    browser_page.get_by_text("Show tags").click()
    expect(browser_page.locator("tr", has_text="data_version").first).to_contain_text(
        re.compile("[0-9a-f]{16}")
    )

    browser_page.goto(f"{web_page}/assets/identity_catalogue")
    browser_page.get_by_role("button", name="Plots").click()
    expect(browser_page.get_by_text("dagster/row_count")).to_be_visible()
    expect(browser_page.locator("canvas").first).to_be_visible()
    expect(browser_page.get_by_text("Unsynced")).to_have_count(0)

    (project / "edited.txt").write_text("identity_catalogue")
    browser_page.goto(f"{web_page}/locations")
    browser_page.get_by_role("button", name="Reload all").click()
    browser_page.goto(f"{web_page}/assets/identity_catalogue")
    expect(browser_page.get_by_text("Unsynced")).to_be_visible(timeout=A_RUN_MS)


def test_the_launchpad_describes_the_settings_and_refuses_what_it_does_not_know(
    browser_page: Page, web_page: str
) -> None:
    browser_page.goto(f"{web_page}/assets/bolid_checkpoint")
    browser_page.get_by_role("button", name="Materialize").first.click(modifiers=["Shift"])
    browser_page.get_by_role("button", name="Confirm").click()  # although nothing is there yet to train on
    browser_page.get_by_text("Launchpad (configure assets)").wait_for()
    editor = browser_page.locator(".CodeMirror, .cm-editor").first

    def write(setting: str) -> None:
        editor.click()
        browser_page.keyboard.press("Control+a")
        browser_page.keyboard.insert_text(f"ops:\n  bolid_checkpoint:\n    config:\n      {setting}")

    write("")
    expect(browser_page.get_by_text("Seed of new weights, batches, noise and dropout.")).to_be_visible()
    write("stpes: 3")
    expect(browser_page.get_by_text('Received unexpected config entry "stpes"')).to_be_visible()
    write("steps: three")
    expect(
        browser_page.get_by_text("Invalid scalar at path root:ops:bolid_checkpoint:config:steps")
    ).to_be_visible()
    write("steps: 3")
    expect(browser_page.get_by_text("No errors")).to_be_visible()


def test_the_schedule_can_be_switched_on_and_off(browser_page: Page, web_page: str) -> None:
    browser_page.goto(f"{web_page}/automation")
    browser_page.get_by_role("link", name="nightly_dataset_refresh").click()
    browser_page.wait_for_url("**/schedules/nightly_dataset_refresh")
    switch = browser_page.get_by_role("checkbox")
    for is_on in (True, False):
        expect(switch).to_be_checked(checked=not is_on)
        switch.locator("xpath=..").click()  # the input itself lies out of sight, under the drawn switch
        expect(switch).to_be_checked(checked=is_on)
        browser_page.reload()
        expect(switch).to_be_checked(checked=is_on)


def _has_launched(response: Response) -> bool:
    """True if it answers the request to start a run; a page left before that would start nothing."""
    return "launchPipelineExecution" in (response.request.post_data or "")
