"""The client's manners: robots.txt, budgets, the rate, and the quiet that a site asks for."""

import logging
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from fault_server import CANONICAL_URL, Request, Response, in_turn
from loopback_client import FINE, X, make_client, paths

from bolid_pipeline.errors import (
    BudgetSpent,
    ConfigurationError,
    DownloadFailed,
    RobotsDenied,
    SourceUnreachable,
)
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig


def seconds_from_now(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("make_value", "least"), [(lambda: "1", 1.0), (lambda: seconds_from_now(2), 1.0), (lambda: "soon", 0.0)]
)
def test_retry_after_is_obeyed_by_all_requests_in_both_forms(
    site, client, make_value: Callable[[], str], least
):
    client.get_page(X)
    started = time.monotonic()
    retry_after = make_value()
    site.pages["/x"] = in_turn(Response(status=429, headers={"Retry-After": retry_after}), FINE)
    client.get_page(X)
    client.get_page(X)
    assert site.log[-2].time - started >= least


@pytest.mark.parametrize("make_value", [lambda: "86400", lambda: seconds_from_now(86400)])
def test_a_host_that_wants_quiet_for_too_long_ends_the_run(site, client, make_value: Callable[[], str]):
    site.pages["/x"] = in_turn(Response(status=503, headers={"Retry-After": make_value()}), FINE)
    for _ in range(2):
        with pytest.raises(BudgetSpent, match=r"asks for 86\d\d\d s of quiet, .*max_retry_after_seconds=120"):
            client.get_page(X)
    assert site.num_requests("/x") == 1


def test_robots_txt_is_read_once_and_obeyed(site, client):
    site.pages["/robots.txt"] = Response(body=b"User-agent: *\nDisallow: /private/\n")
    site.pages["/y"] = Response(status=302, headers={"Location": "/private/y"})
    client.get_page(X)
    client.get_page(X)
    with pytest.raises(RobotsDenied, match="/private/x"):
        client.get_page(f"{CANONICAL_URL}/private/x")
    with pytest.raises(RobotsDenied, match="/private/y"):
        client.get_page(f"{CANONICAL_URL}/y")
    assert paths(site) == ["/robots.txt", "/x", "/x", "/y"]


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_no_robots_txt_allows_all(site, client, status):
    site.pages["/robots.txt"] = Response(status=status, body=b"User-agent: *\nDisallow: /\n")
    assert client.get_page(X).body == b"at last"


@pytest.mark.parametrize(
    "answer",
    [
        Response(status=500),
        Response(status=501),
        Response(delivery="reset"),
        Response(status=302, headers={"Location": "http://elsewhere.invalid/robots.txt"}),
        Response(body=b"#" * 20 * 2**20),
    ],
)
def test_robots_txt_that_cannot_be_had_stops_the_crawl(site, client, answer):
    site.pages["/robots.txt"] = answer
    with pytest.raises((SourceUnreachable, DownloadFailed), match=r"robots\.txt"):
        client.get_page(X)
    assert site.num_requests("/x") == 0


def test_robots_txt_of_garbage_forbids_nothing(site, client):
    site.pages["/robots.txt"] = Response(body=bytes(range(256)) * 100)
    assert client.get_page(X).body == b"at last"


def test_robots_can_be_left_alone_on_a_site_of_ones_own(site):
    site.pages["/robots.txt"] = Response(body=b"User-agent: *\nDisallow: /\n")
    site.pages["/x"] = Response(body=b"mine", headers={"X-Robots-Tag": "noai"})
    with make_client(site, respect_robots=False) as client:
        assert client.get_page(X).body == b"mine"


def test_what_is_not_for_ai_is_left_alone(site, client):
    site.pages["/x"] = Response(body=b"picture", headers={"X-Robots-Tag": "noimageai"})
    with pytest.raises(DownloadFailed, match="noimageai") as failure:
        client.get_picture(X, referer=X)
    assert failure.value.reason == "no_ai"


@pytest.mark.parametrize(
    "budget", [{"max_requests": 3}, {"max_bytes": 2 * len(FINE.body)}, {"max_minutes": 0.0}]
)
def test_a_budget_ends_the_run_for_all_threads(site, budget):
    (name,) = budget
    with make_client(site, **budget) as client, ThreadPoolExecutor(4) as threads:
        outcomes = [future.exception() for future in [threads.submit(client.get_page, X) for _ in range(12)]]
    spent = [error for error in outcomes if error is not None]
    assert len(spent) >= 12 - (client.config.max_concurrency + 2)
    assert all(re.match(f"{name}=.* are spent; the next run goes on", str(error)) for error in spent)
    assert len(site.log) <= client.config.max_concurrency + 3
    with pytest.raises(BudgetSpent):
        client.get_page(X)


def test_further_tries_and_robots_txt_are_part_of_the_budget(site):
    site.pages["/x"] = Response(status=503)
    with make_client(site, max_requests=3) as client, pytest.raises(BudgetSpent):
        client.get_page(X)
    assert paths(site) == ["/robots.txt", "/x", "/x"]


def test_no_more_requests_than_allowed_are_in_flight(site):
    all_there = threading.Barrier(3)

    def wait_for_the_others(_: Request) -> Response:
        all_there.wait(timeout=60)
        return FINE

    site.pages["/x"] = wait_for_the_others
    with make_client(site, max_concurrency=3) as client, ThreadPoolExecutor(9) as threads:
        assert len(list(threads.map(client.get_page, [X] * 18))) == 18
    assert site.max_in_flight == 3


def most_in_a_second(times: list[float]) -> int:
    return max(sum(start <= time < start + 1.0 for time in times) for start in times)


@pytest.mark.parametrize(
    ("robots", "requests_per_second"), [(b"", 10.0), (b"User-agent: *\nCrawl-delay: 0.1\n", 1000.0)]
)
def test_the_rate_holds_over_all_threads_and_further_tries_also_where_robots_txt_sets_it(
    site, robots, requests_per_second
):
    site.pages["/robots.txt"] = Response(body=robots)
    site.pages["/x"] = in_turn(*[Response(status=500), FINE] * 8)
    with (
        make_client(site, requests_per_second=requests_per_second, max_retries=9) as client,
        ThreadPoolExecutor(4) as threads,
    ):
        list(threads.map(client.get_page, [X] * 8))
    times = [request.time for request in site.log]
    assert len(times) == 17
    # One more may be seen where a request was held up on its way and the next ones were not.
    assert most_in_a_second(times) <= 11


def test_a_busy_host_is_asked_half_as_often(site):
    site.pages["/x"] = in_turn(Response(status=503), FINE)
    with make_client(site, requests_per_second=20.0) as client:
        for _ in range(4):
            client.get_page(X)
    slow = [after.time - before.time for before, after in zip(site.log[1:], site.log[2:], strict=False)]
    assert sum(slow) >= len(slow) * 2 / 20.0 - 0.05


def test_the_default_contact_is_warned_of_away_from_loopback(caplog):
    with caplog.at_level(logging.WARNING):
        PoliteClient(CrawlConfig(base_url="http://127.0.0.1:1")).close()
        PoliteClient(CrawlConfig(user_agent="mine/1 (me@example.org)")).close()
        PoliteClient(CrawlConfig(contact="me@example.org")).close()
        assert caplog.records == []
        PoliteClient(CrawlConfig()).close()
    assert re.search("names no contact: set BOLID_CONTACT, or `bolid crawl --contact`", caplog.text)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "theplace.ru"},
        {"requests_per_second": 0.0},
        {"max_concurrency": 0},
        {"download_deadline_seconds": 0.0},
        {"photos_per_commit": 0},
    ],
)
def test_settings_out_of_range_are_named(options):
    (name,) = options
    with pytest.raises(ConfigurationError, match=name if name != "base_url" else r"theplace\.ru"):
        CrawlConfig(**options)
