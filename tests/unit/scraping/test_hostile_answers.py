"""Headers and a robots.txt of nonsense: each is a ScrapingError or nothing, and costs no time."""

import contextlib
import time

import pytest
from fault_server import FaultySite, Response
from loopback_client import FINE, X, make_client

from bolid_pipeline.errors import BudgetSpent, DownloadFailed, RobotsDenied, ScrapingError
from bolid_pipeline.scraping.retries import retry_after_seconds

MANY = "9" * 400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("120", 120.0),
        ("-5", 0.0),
        ("1e9", 0.0),
        ("soon", 0.0),
        ("²", 0.0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 +999999999999", 0.0),
    ],
)
def test_a_retry_after_of_nonsense_is_none(header, seconds):
    assert retry_after_seconds(header) == seconds


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", [MANY, "9" * 5000, "99999999"])
def test_a_retry_after_of_ages_ends_the_run(status, header):
    with (
        FaultySite({"/x": Response(status=status, headers={"Retry-After": header})}) as site,
        make_client(site) as client,
        pytest.raises(BudgetSpent, match="s of quiet"),
    ):
        client.get_page(X)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": MANY},
        {"Content-Length": "9" * 5000},
        {"Content-Length": "-1"},
        {"Content-Length": "0x10"},
        {"Content-Encoding": "gzip, gzip, deflate, br"},
        {"X-Robots-Tag": "," * 30_000},
        {"ETag": "\x7f" * 1000, "Last-Modified": "never"},
        {f"X-{n}": "y" for n in range(200)},
        {"Location": "http://[::1"},
        {"Location": "//\u2100x".encode().decode("latin-1")},
    ],
    ids=lambda headers: " ".join(f"{name}: {value[:9]}" for name, value in [*headers.items()][:1]),
)
@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_headers_of_nonsense_are_an_error_of_that_page_or_nothing(headers, status):
    answer = Response(status=status, body=b"<p>x</p>", headers=headers)
    with (
        FaultySite({"/x": answer, "/y": FINE}) as site,
        make_client(site, max_retries=0, read_timeout_seconds=0.3) as client,
    ):
        with contextlib.suppress(ScrapingError):
            client.get_page(X)
        assert client.get_page(X.replace("/x", "/y")).body == FINE.body


DELAYS = ["0", "-1", "nan", "inf", "1e-320", "1e-9", "soon", "", "²", "9" * 5000]


@pytest.mark.parametrize("delay", DELAYS)
def test_a_crawl_delay_of_nonsense_is_none(delay):
    robots = Response(body=f"User-agent: *\nCrawl-delay: {delay}\n".encode())
    with FaultySite({"/x": FINE, "/robots.txt": robots}) as site, make_client(site) as client:
        assert client.get_page(X).body == FINE.body


@pytest.mark.parametrize("delay", ["86401", "1e9", "1e308"])
def test_a_crawl_delay_of_more_than_a_day_forbids_the_crawl(delay):
    robots = Response(body=f"User-agent: *\nCrawl-delay: {delay}\n".encode())
    with (
        FaultySite({"/x": FINE, "/robots.txt": robots}) as site,
        make_client(site) as client,
        pytest.raises(RobotsDenied, match="more than a day"),
    ):
        client.get_page(X)


HOSTILE_ROBOTS = {
    "wildcards": "Disallow: /" + "*a" * 2000 + "b\n",
    "wildcard rules": "Disallow: /*a*b*c*d$\n" * 20_000,
    "rules": "".join(f"Disallow: /{n}\n" for n in range(30_000)),
    "a long line": "Disallow: /" + "x" * 500_000,
    "many robots": "".join(f"User-agent: r{n}\nDisallow: /\n" for n in range(15_000)),
    "no text": "\x00\ufffe\u2028" * 50_000,
    "megabytes": "# nothing\n" * 1_500_000,
}


@pytest.mark.parametrize("rules", HOSTILE_ROBOTS.values(), ids=HOSTILE_ROBOTS.keys())
def test_a_robots_txt_of_any_size_costs_little_time(rules):
    path = f"/{'a' * 2000}"
    robots = Response(body=f"User-agent: *\nDisallow: /private/\n{rules}".encode())
    with FaultySite({path: FINE, "/robots.txt": robots}) as site, make_client(site) as client:
        started = time.process_time()
        for _ in range(20):
            assert client.get_page(X.removesuffix("/x") + path).body == FINE.body
        with pytest.raises(RobotsDenied):
            client.get_page(X.removesuffix("/x") + "/private/x")
        assert time.process_time() - started < 6


@pytest.mark.parametrize("address", ["//[x", "http://[::1", "/\ud800", "/ \n", "/" + "x" * 70_000])
def test_an_address_of_nonsense_is_an_error_of_that_page(address):
    site_url = X.removesuffix("/x")
    with FaultySite({}) as site, make_client(site) as client, pytest.raises(DownloadFailed):
        client.get_page(site_url + address if address.startswith("/") and address[1:2] != "/" else address)
