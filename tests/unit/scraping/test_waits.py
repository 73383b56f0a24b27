"""A run's minutes hold also while it waits, for whatever reason it waits."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_server import CANONICAL_URL, FaultySite, Response, gallery
from loopback_client import FINE, X, make_client
from small_crawls import Crawl, jpeg

from bolid_pipeline.errors import BudgetSpent, SourceUnreachable
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.run_budget import RunBudget
from bolid_pipeline.scraping.transfer_counts import TransferCounts

SIX_SECONDS = 0.1
CRAWL_DELAY = Response(body=b"User-agent: *\nCrawl-delay: 3600\n")
QUIET = Response(status=503, headers={"Retry-After": "3600"})
REASONS_TO_WAIT = {
    "crawl-delay": ({"/robots.txt": CRAWL_DELAY, "/x": FINE}, {}),
    "Retry-After": ({"/x": QUIET}, {"max_retry_after_seconds": 7200.0}),
    "a slow rate": ({"/x": FINE}, {"requests_per_second": 0.001}),
    "backoff": ({"/x": Response(status=500)}, {"backoff_seconds": 1e6, "max_retries": 50}),
}


@pytest.mark.parametrize(("pages", "options"), REASONS_TO_WAIT.values(), ids=REASONS_TO_WAIT.keys())
@pytest.mark.parametrize("num_threads", [1, 4])
def test_a_run_ends_at_once_if_its_minutes_would_end_in_a_wait(pages, options, num_threads):
    started = time.monotonic()
    with (
        FaultySite(pages) as site,
        make_client(site, max_minutes=SIX_SECONDS, **options) as client,
        ThreadPoolExecutor(num_threads) as threads,
    ):
        with contextlib.suppress(BudgetSpent):
            client.get_page(X)  # the first one goes through where only the second one waits
        calls = [threads.submit(client.get_page, X) for _ in range(num_threads)]
        errors = [call.exception() for call in calls]
        with pytest.raises(BudgetSpent, match="max_minutes"):
            client.get_page(X)
    assert all(error is None or isinstance(error, BudgetSpent) for error in errors)
    assert time.monotonic() - started < 60 * SIX_SECONDS


def test_a_crawl_of_an_hour_between_requests_ends_with_its_budget_and_says_so(tmp_path):
    pages = gallery({"a": jpeg(1)}) | {"/robots.txt": CRAWL_DELAY}
    started = time.monotonic()
    with FaultySite(pages) as site:
        crawl = Crawl(tmp_path)
        crawl.run(site, max_minutes=SIX_SECONDS)
    assert "max_minutes" in str(crawl.catalogue.stopped_by)
    assert time.monotonic() - started < 60 * SIX_SECONDS


def test_a_host_that_wants_quiet_ends_the_waits_of_all_threads():
    pages = {"/x": Response(status=500), "/y": Response(status=503, headers={"Retry-After": "7200"})}
    with (
        FaultySite(pages) as site,
        make_client(site, backoff_seconds=1e6, max_retries=9) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        waiting = threads.submit(client.get_page, X)
        while not site.num_requests("/x"):
            time.sleep(0.01)
        with pytest.raises(BudgetSpent, match="7200 s of quiet"):
            client.get_page(f"{CANONICAL_URL}/y")
        with pytest.raises(BudgetSpent, match="7200 s of quiet"):
            waiting.result(timeout=30)


def test_a_wait_without_a_budget_is_slept_through():
    budget = RunBudget(CrawlConfig(), TransferCounts())
    started = time.monotonic()
    budget.wait(0.2)
    assert time.monotonic() - started >= 0.2


def test_a_wait_is_left_when_the_run_is_stopped():
    budget = RunBudget(CrawlConfig(), TransferCounts())
    threading.Timer(0.1, budget.stop, ["enough"]).start()
    with pytest.raises(BudgetSpent, match="enough"):
        budget.wait(600)


def test_short_waits_of_a_run_with_minutes_are_slept_through():
    with FaultySite({"/x": Response(status=500)}) as site, make_client(site, max_minutes=1.0) as client:
        with pytest.raises(SourceUnreachable):
            client.get_page(X)
        assert site.num_requests("/x") == 3
