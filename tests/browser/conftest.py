"""`dagster dev` as a person starts it, over a history and data of its own, and headless Chromium to look at it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from bodyworld.site.server import BodyworldSite
from bodyworld.world.build import WorldConfig, build_world

REPOSITORY = Path(__file__).parents[2]
DAGSTER = Path(sys.executable).with_name("dagster")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUM_FLAGS = [  # nothing but loopback is asked for anything
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS_TO_START = 240
WORLD = WorldConfig(
    seed=40_000,
    num_identities=1,
    num_photos_per_identity=12,
    truncated_rate=0.0,
    wrong_type_rate=0.0,
)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's configuration files in a folder of their own: what Dagster writes goes there.

    The workspace loads the shipped definitions through `edited_definitions.py`, which can raise a code version.
    """
    folder = tmp_path_factory.mktemp("project")
    for name in ("dagster.yaml", ".env"):
        shutil.copy(REPOSITORY / name, folder)
    shutil.copy(Path(__file__).with_name("edited_definitions.py"), folder)
    workspace = (REPOSITORY / "workspace.yaml").read_text()
    assert "bolid_pipeline.definitions" in workspace
    (folder / "workspace.yaml").write_text(
        workspace.replace("bolid_pipeline.definitions", "edited_definitions")
    )
    return folder


@pytest.fixture(scope="session")
def environment(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of every command: a small site on loopback, data under the project's folder."""
    world = tmp_path_factory.mktemp("world")
    build_world(WORLD, world)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("BOLID_", "DAGSTER_"))
    }
    with BodyworldSite(world) as site:
        yield {**inherited, "BOLID_DATA_DIR": str(project / "data"), "BOLID_SOURCE_URL": site.url}


@pytest.fixture(scope="session")
def materialize(project: Path, environment: dict[str, str]) -> Callable[[str], None]:
    """Materialises an asset on the command line."""

    def run(asset: str) -> None:
        command = [DAGSTER, "asset", "materialize", "-m", "bolid_pipeline.definitions", "--select", asset]
        subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True)

    return run


@pytest.fixture(scope="session")
def web_page(project: Path, environment: dict[str, str]) -> Iterator[str]:
    """Address of the page that `dagster dev` serves."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    log_path = project / "dagster_dev.log"
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            [DAGSTER, "dev", "--port", str(port)],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, server, log_path)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            requests.get(f"{url}/server_info", timeout=10).raise_for_status()
        except requests.RequestException:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"dagster dev does not answer at {url}:\n{log_path.read_text(errors='replace')[-4000:]}")


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    """A tab of headless Chromium.

    Of a module: playwright keeps an event loop running in this thread for as long as it is open, and in-process runs
    of Dagster, which later tests make, cannot start theirs beside it.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install the package chromium to run the browser's tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()
