"""Passwords work, and stand in no message, log, table, file or configuration."""

import base64
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fault_server import FaultySite, Page, Request, Response, gallery
from small_crawls import jpeg

from bolid_pipeline.cli import main
from bolid_pipeline.errors import BolidError, ConfigurationError
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig
from resources.environment import current_deployment, current_settings_file, environment_of
from resources.photo_source import photo_source_of
from resources.table_store import data_store_of

SECRET = "sec/r3t@!"  # noqa: S105 - the test's
WRITTEN = ("sec/r3t@!", "sec%2Fr3t%40!")
"""The password in an address, as it is and escaped."""
AS_HEADER = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


def is_hidden(text: str) -> bool:
    """True if no form of the password stands in a text."""
    encoded = AS_HEADER.removeprefix("Basic ")
    return not any(form in text for form in (*WRITTEN, "r3t", encoded))


@pytest.fixture
def locked_site() -> Iterator[FaultySite]:
    """A gallery of two photos that asks for user and password, also before its robots.txt."""

    def locked(page: Page) -> Page:
        def answer(request: Request) -> Response:
            if request.headers.get("Authorization") != AS_HEADER:
                return Response(status=401, headers={"WWW-Authenticate": "Basic"})
            return page(request) if callable(page) else page

        return answer

    with FaultySite({}) as site:
        site.pages = {path: locked(page) for path, page in gallery({"a": jpeg(1), "b": jpeg(2)}).items()}
        yield site


@pytest.mark.parametrize("password", WRITTEN)
def test_a_locked_site_is_crawled_and_its_password_stands_nowhere(
    locked_site: FaultySite, tmp_path: Path, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    address = locked_site.url.replace("://", f"://me:{password}@")
    environment = {"BOLID_SOURCE_URL": address, "BOLID_DATA_DIR": str(tmp_path)}
    with caplog.at_level(logging.DEBUG):
        done = CliRunner().invoke(main, ["crawl", "--min-photos", "1"], env=environment)
    assert done.exit_code == 0, done.output
    assert "2 new photos" in done.output
    written = "".join(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file())
    assert is_hidden(done.output + caplog.text + written)


@pytest.mark.parametrize("password", WRITTEN)
def test_a_deployment_shows_its_password_nowhere(tmp_path: Path, password: str) -> None:
    environment = {
        "BOLID_SOURCE_URL": f"https://me:{password}@gallery.example",
        "HTTPS_PROXY": f"http://me:{WRITTEN[1]}@proxy.example:3128",
        "BOLID_DATA_DIR": str(tmp_path),
    }
    deployment = current_deployment(environment)
    assert deployment.crawl.login == f"me:{SECRET}"
    assert deployment.source_url == deployment.crawl.base_url == "https://gallery.example"
    environment_of(deployment, tmp_path)
    for shown in (
        repr(deployment),
        repr(photo_source_of(deployment)),
        repr(data_store_of(deployment)),
        current_settings_file(environment),
        (tmp_path / "settings.toml").read_text(),
        CliRunner().invoke(main, ["settings"], env=environment).output,
        CliRunner().invoke(main, ["settings", "--describe"], env=environment).output,
    ):
        assert is_hidden(shown)


@pytest.mark.parametrize(
    "environment",
    [
        {"BOLID_SOURCE_URL": "htp://me:{}@gallery.example"},
        {"BOLID_SOURCE_URL": "http://me:{}@[::1"},
        {"BOLID_SOURCE_URL": "http://me:{}@gallery.example:99999/"},
        {"BOLID_SOURCE_URL": "http://me:{}@"},
        {"BOLID_SOURCE_URL": "http://me:{}@gallery.example/?a"},
        {"BOLID_DATA_DIR": "s3://KEY:{}@bucket/prefix"},
        {"BOLID_DATA_DIR": "s3://a_very_long_access_key_of_somebody:{}@bucket/prefix"},
        {"HTTPS_PROXY": "http://me:{}@proxy.example:99999"},
        {"HTTPS_PROXY": "me:{}@proxy.example:port"},
        {"HTTPS_PROXY": "socks5://me:{}@proxy.example"},
    ],
)
def test_what_is_wrong_about_an_address_is_said_without_its_password(environment: dict[str, str]) -> None:
    environment = {name: value.format("r3t") for name, value in environment.items()}
    ((variable, _),) = environment.items()
    with pytest.raises(ConfigurationError, match=variable) as refused:
        current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15", **environment})
    assert "\n" not in str(refused.value)
    assert is_hidden("".join(traceback.format_exception(refused.value)))


@pytest.mark.parametrize(
    ("setting", "instead"),
    [
        ("[crawl]\nlogin = 'me:r3t'", "set BOLID_SOURCE_URL, with both before the host"),
        ("[crawl]\nproxy_url = 'http://me:r3t@proxy.example'", "set HTTPS_PROXY"),
        (
            "[crawl]\ncanonical_url = 'https://me:r3t@gallery.example'",
            "user and password belong into `login`",
        ),
        ("[crwal]\nbase_url = 'https://me:r3t@gallery.example'", "did you mean crawl?"),
    ],
)
def test_a_settings_file_holds_no_password(tmp_path: Path, setting: str, instead: str) -> None:
    (tmp_path / "a.toml").write_text(setting)
    with pytest.raises(ConfigurationError) as refused:
        current_deployment({"BOLID_SETTINGS": str(tmp_path / "a.toml")})
    assert instead in str(refused.value)
    assert is_hidden("".join(traceback.format_exception(refused.value)))


def test_a_settings_file_may_name_the_user_of_a_site_and_printing_it_does_not(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("source_url = 'https://me:r3t@gallery.example'")
    environment = {"BOLID_SETTINGS": str(tmp_path / "a.toml")}
    assert current_deployment(environment).crawl.login == "me:r3t"
    assert 'source_url = "https://gallery.example"' in current_settings_file(environment)


def test_a_proxy_gets_its_password_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    with FaultySite({"http://gallery.invalid/x": Response(body=b"at last")}) as proxy:
        proxy_url = proxy.url.replace("://", "://me:r3t@")
        config = CrawlConfig(base_url="http://gallery.invalid", proxy_url=proxy_url, contact="me@example.org")
        with PoliteClient(config) as client:
            assert client.get_page("http://gallery.invalid/x").body == b"at last"
        assert {request.headers["Proxy-Authorization"] for request in proxy.log} == {
            "Basic " + base64.b64encode(b"me:r3t").decode()
        }
    with (
        caplog.at_level(logging.DEBUG),
        PoliteClient(
            CrawlConfig(base_url="http://gallery.invalid", proxy_url=proxy_url, max_retries=0)
        ) as client,
        pytest.raises(BolidError) as failed,
    ):
        client.get_page("http://gallery.invalid/x")
    assert is_hidden("".join(traceback.format_exception(failed.value)) + caplog.text)


def test_contact_and_rate_are_set_by_variables_and_by_options(tmp_path: Path) -> None:
    environment = {"BOLID_CONTACT": "me@example.org", "BOLID_REQUESTS_PER_SECOND": "0.5"}
    crawl = current_deployment({"BOLID_DEPLOYMENT": "theplace_sd15", **environment}).crawl
    assert crawl.requests_per_second == 0.5
    assert crawl.headers == {"User-Agent": "BoLID-crawler/0.1 (research data set) (contact: me@example.org)"}
    with FaultySite(gallery({"a": jpeg(1), "b": jpeg(2)})) as site:
        done = CliRunner().invoke(
            main,
            ["crawl", "--min-photos", "1", "--contact", "https://example.org/crawler", "--rate", "500"],
            env={"BOLID_DATA_DIR": str(tmp_path), "BOLID_SOURCE_URL": site.url, **environment},
        )
        assert done.exit_code == 0, done.output
        agents = {request.headers["User-Agent"] for request in site.log}
    assert agents == {"BoLID-demo/0.1 (loopback only) (contact: https://example.org/crawler)"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BOLID_CONTACT", "me\nX-Admin: 1"),
        ("BOLID_CONTACT", "zoë@example.org"),
        ("BOLID_REQUESTS_PER_SECOND", "0"),
        ("BOLID_REQUESTS_PER_SECOND", "nan"),
        ("BOLID_REQUESTS_PER_SECOND", "1e-300"),
        ("BOLID_REQUESTS_PER_SECOND", "fast"),
    ],
)
def test_a_contact_or_a_rate_that_makes_no_sense_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as refused:
        current_deployment({variable: value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["theplace_sd15", "theplace_sdxl"])
def test_a_real_site_is_asked_at_most_as_often_as_the_docs_calculate_with(name: str) -> None:
    assert current_deployment({"BOLID_DEPLOYMENT": name}).crawl.requests_per_second == 2.0
