"""What the client makes of answers: pages, failures, bodies over the bound, redirects, addresses it must not follow."""

import gzip
import socket

import pytest
from fault_server import CANONICAL_URL, Response, in_turn
from loopback_client import FINE, X, make_client, paths

from bolid_pipeline.errors import DownloadFailed, SourceUnreachable
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig
from bolid_pipeline.scraping.page_cache import Validators


def test_canonical_addresses_are_asked_of_the_base_address_with_name_and_referer(site, client):
    site.pages["/a%20b.jpg"] = Response(body=b"picture")
    assert client.get_picture(f"{CANONICAL_URL}/a%20b.jpg", referer=f"{CANONICAL_URL}/page") == b"picture"
    headers = site.log[-1].headers
    assert headers["User-Agent"].startswith("BoLID-crawler/")
    assert headers["Referer"] == f"{site.url}/page"
    assert headers["Accept-Encoding"] == "identity"
    assert (client.counts.requests, client.counts.bytes, client.counts.retries) == (2, 7, 0)


def test_an_unchanged_page_costs_no_body(site, client):
    site.pages["/x"] = Response(body=b"page", headers={"ETag": '"1"', "Last-Modified": "yesterday"})
    page = client.get_page(X)
    assert (page.body, page.url, page.validators) == (b"page", X, Validators('"1"', "yesterday"))
    again = client.get_page(X, validators=page.validators)
    assert (again.body, again.validators) == (None, page.validators)
    assert site.log[-1].headers["If-Modified-Since"] == "yesterday"
    assert (client.counts.bytes, client.counts.not_modified) == (4, 1)
    site.pages["/x"] = Response(body=b"new", headers={"ETag": '"2"'})
    assert client.get_page(X, validators=page.validators).body == b"new"


BUSY = [Response(status=status) for status in (429, 500, 502, 503, 504)]


BROKEN = [Response(delivery="reset"), Response(body=b"ha", stated_length=4)]


@pytest.mark.parametrize("failure", BUSY + BROKEN)
def test_passing_failures_are_tried_again_and_counted(site, client, failure):
    site.pages["/x"] = in_turn(failure, failure, FINE)
    assert client.get_page(X).body == b"at last"
    assert paths(site) == ["/robots.txt", "/x", "/x", "/x"]
    assert (client.counts.requests, client.counts.retries, client.counts.bytes) == (4, 2, 7)
    assert client.counts.seconds_waited > 0


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (Response(status=503), "unreachable"),
        (Response(delivery="reset"), "unreachable"),
        (Response(delivery="hang"), "timeout"),
        (Response(body=b"half", stated_length=8), "broken_body"),
        (Response(body=b"no gzip", headers={"Content-Encoding": "gzip"}), "broken_body"),
    ],
)
def test_lasting_failures_end_as_unreachable_with_a_reason(site, failure, reason):
    site.pages["/x"] = failure
    with make_client(site, read_timeout_seconds=0.2) as client, pytest.raises(SourceUnreachable) as error:
        client.get_page(X)
    assert error.value.reason == reason
    assert f"{site.url}/x cannot be reached" in str(error.value)
    assert site.num_requests("/x") == 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "not_found"),
        (410, "not_found"),
        (403, "forbidden"),
        (451, "forbidden"),
        (418, "http_error"),
        (302, "http_error"),
        (304, "http_error"),
    ],
)
def test_refusals_are_not_tried_again_and_have_a_reason(site, client, status, reason):
    site.pages["/x"] = Response(status=status)
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(X)
    assert failure.value.reason == reason
    assert site.num_requests("/x") == 1


@pytest.mark.parametrize("delivery", ["drip", "drip_headers"])
def test_an_answer_that_drips_ends_at_its_deadline(site, delivery):
    site.pages["/x"] = Response(body=b"x" * 10_000, delivery=delivery)
    with make_client(site, download_deadline_seconds=0.2) as client, pytest.raises(DownloadFailed) as failure:
        client.get_page(X)
    assert failure.value.reason == "deadline"
    assert site.num_requests("/x") == 1


BOMB = gzip.compress(bytes(50 * 2**20))


@pytest.mark.parametrize(
    "response",
    [
        Response(body=b"x" * 5000),
        Response(body=b"x", stated_length=10**12),
        Response(body=BOMB, headers={"Content-Encoding": "gzip"}),
    ],
    ids=["received", "stated", "unpacked"],
)
@pytest.mark.parametrize("is_page", [True, False])
def test_a_body_over_the_bound_is_refused(site, response, is_page):
    site.pages["/x"] = response
    bounds = {"max_page_bytes": 4999, "max_body_bytes": 10**6} if is_page else {"max_body_bytes": 4999}
    with make_client(site, **bounds) as client, pytest.raises(DownloadFailed) as failure:
        client.get_page(X) if is_page else client.get_picture(X, referer=X)
    assert failure.value.reason == "too_large"
    assert site.num_requests("/x") == 1


def test_redirects_on_the_host_are_followed(site, client):
    site.pages["/x"] = Response(status=302, headers={"Location": "/y"})
    site.pages["/y"] = Response(status=301, headers={"Location": f"{site.url}/z"})
    site.pages["/z"] = FINE
    page = client.get_page(X)
    assert (page.body, page.url) == (b"at last", f"{CANONICAL_URL}/z")


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://localhost/x",
        "//gallery.invalid/x",
        "file:///etc/passwd",
    ],
)
def test_redirects_to_another_host_are_not(site, client, target):
    site.pages["/x"] = Response(status=302, headers={"Location": target})
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(X)
    assert failure.value.reason == "foreign_host"


@pytest.mark.parametrize("target", ["http://[broken/", "http://127.0.0.1:port/", "\xff\xfe"])
def test_redirects_to_no_address_fail(site, client, target):
    site.pages["/x"] = Response(status=302, headers={"Location": target})
    with pytest.raises(DownloadFailed):
        client.get_page(X)


def test_redirects_in_a_circle_end(site, client):
    site.pages["/x"] = Response(status=302, headers={"Location": "/x"})
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(X)
    assert failure.value.reason == "too_many_redirects"
    assert site.num_requests("/x") == CrawlConfig().max_redirects + 1


def test_a_name_that_leads_into_a_private_network_is_not_followed_there(site, monkeypatch):
    port = int(site.url.rpartition(":")[2])
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *rest, **more: resolve("127.0.0.1", *rest, **more))
    config = CrawlConfig(base_url=f"http://gallery.invalid:{port}", max_retries=0)
    with (
        PoliteClient(config) as client,
        pytest.raises(DownloadFailed, match=r"leads to 127\.0\.0\.1") as failure,
    ):
        client.get_page(f"{config.base_url}/x")
    assert failure.value.reason == "internal_address"
    assert site.log == []


def test_a_proxy_may_be_internal_and_is_asked_for_everything(site):
    site.pages = {"http://gallery.invalid/x": FINE}
    config = CrawlConfig(base_url=CANONICAL_URL.replace("https", "http"), proxy_url=site.url)
    with PoliteClient(config) as client:
        assert client.get_page(f"{config.base_url}/x").body == b"at last"
    assert paths(site) == ["http://gallery.invalid/robots.txt", "http://gallery.invalid/x"]
