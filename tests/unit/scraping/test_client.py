"""The client's manners, against a server on loopback that misbehaves on request."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from bolid_pipeline.errors import ConfigurationError, DownloadFailed, RobotsDenied, SourceUnreachable
from bolid_pipeline.scraping.client import PoliteClient
from bolid_pipeline.scraping.config import CrawlConfig

CANONICAL = "https://gallery.invalid"


class FaultServer(ThreadingHTTPServer):
    """Answers a path with the next of its planned replies; notes every request's path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FaultHandler)
        self.plan: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.seen]


class FaultHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server = cast(FaultServer, self.server)
        server.seen.append((self.path, dict(self.headers)))
        replies = server.plan.get(self.path, [(404, {}, b"")])
        status, headers, body = replies.pop(0) if len(replies) > 1 else replies[0]
        if status == 0:  # hang up without an answer
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = "X-Close" in headers

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: FaultServer) -> Iterator[PoliteClient]:
    with make_client(server) as client:
        yield client


def make_client(server: FaultServer, **options: Any) -> PoliteClient:
    manners: dict[str, Any] = {"requests_per_second": 1000.0, "max_retries": 2, "backoff_seconds": 0.01}
    return PoliteClient(CrawlConfig(base_url=server.url, canonical_url=CANONICAL, **(manners | options)))


def test_canonical_addresses_are_asked_of_the_base_address_with_name_and_referer(server, client):
    server.plan["/a%20b.jpg"] = [(200, {}, b"picture")]
    assert client.get_picture(f"{CANONICAL}/a%20b.jpg", referer=f"{CANONICAL}/page") == b"picture"
    headers = server.seen[-1][1]
    assert headers["User-Agent"].startswith("BoLID-crawler/")
    assert headers["Referer"] == f"{server.url}/page"
    assert headers["Accept-Encoding"] == "identity"
    assert (client.counts.requests, client.counts.bytes, client.counts.retries) == (2, 7, 0)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 0])
def test_passing_failures_are_tried_again_and_counted(server, client, status):
    server.plan["/x"] = [(status, {}, b""), (status, {}, b""), (200, {}, b"at last")]
    assert client.get_page(f"{CANONICAL}/x") == b"at last"
    assert server.paths() == ["/robots.txt", "/x", "/x", "/x"]
    assert (client.counts.requests, client.counts.retries) == (4, 2)


def test_every_further_try_waits(server):
    server.plan["/x"] = [(503, {}, b""), (503, {}, b""), (200, {}, b"")]
    with make_client(server, backoff_seconds=0.1) as client:
        started = time.monotonic()
        client.get_page(f"{CANONICAL}/x")
    assert time.monotonic() - started >= 0.05 + 0.2


def test_retry_after_is_obeyed(server, client):
    server.plan["/x"] = [(429, {"Retry-After": "1"}, b""), (200, {}, b"")]
    started = time.monotonic()
    client.get_page(f"{CANONICAL}/x")
    assert time.monotonic() - started >= 1.0


def test_a_long_retry_after_is_waited_for_within_a_bound(server):
    server.plan["/x"] = [(503, {"Retry-After": "86400"}, b""), (200, {}, b"")]
    with make_client(server, max_retry_after_seconds=1) as client:
        started = time.monotonic()
        client.get_page(f"{CANONICAL}/x")
    assert 1.0 <= time.monotonic() - started < 60.0


def test_lasting_failures_end_as_unreachable(server, client):
    server.plan["/x"] = [(503, {}, b"")]
    with pytest.raises(SourceUnreachable, match=r"/x cannot be reached .*503"):
        client.get_page(f"{CANONICAL}/x")
    assert server.paths().count("/x") == 3


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "not_found"), (410, "not_found"), (403, "forbidden"), (418, "http_error")]
)
def test_refusals_are_not_tried_again_and_have_a_reason(server, client, status, reason):
    server.plan["/x"] = [(status, {}, b"")]
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(f"{CANONICAL}/x")
    assert failure.value.reason == reason
    assert server.paths().count("/x") == 1


def test_a_body_cut_short_is_an_error_and_never_half_a_picture(server, client):
    server.plan["/x"] = [(200, {"Content-Length": "1000", "X-Close": "1"}, b"half")]
    with pytest.raises(SourceUnreachable):
        client.get_picture(f"{CANONICAL}/x", referer=CANONICAL)


def test_a_body_over_the_bound_is_refused(server):
    server.plan["/x"] = [(200, {}, b"x" * 5000)]
    with make_client(server, max_body_bytes=4999) as client, pytest.raises(DownloadFailed) as failure:
        client.get_page(f"{CANONICAL}/x")
    assert failure.value.reason == "too_large"


def test_redirects_on_the_host_are_followed(server, client):
    server.plan["/x"] = [(302, {"Location": "/y"}, b"")]
    server.plan["/y"] = [(301, {"Location": f"{server.url}/z"}, b"")]
    server.plan["/z"] = [(200, {}, b"found")]
    assert client.get_page(f"{CANONICAL}/x") == b"found"


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "http://localhost/x", "file:///etc/passwd"]
)
def test_redirects_to_another_host_are_not(server, client, target):
    server.plan["/x"] = [(302, {"Location": target}, b"")]
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(f"{CANONICAL}/x")
    assert failure.value.reason == "foreign_host"


def test_redirects_in_a_circle_end(server, client):
    server.plan["/x"] = [(302, {"Location": "/x"}, b"")]
    with pytest.raises(DownloadFailed) as failure:
        client.get_page(f"{CANONICAL}/x")
    assert failure.value.reason == "too_many_redirects"


def test_robots_txt_is_read_once_and_obeyed(server, client):
    server.plan["/robots.txt"] = [(200, {}, b"User-agent: *\nDisallow: /private/\n")]
    server.plan["/open"] = [(200, {}, b"")]
    client.get_page(f"{CANONICAL}/open")
    client.get_page(f"{CANONICAL}/open")
    with pytest.raises(RobotsDenied, match="/private/x"):
        client.get_page(f"{CANONICAL}/private/x")
    assert server.paths() == ["/robots.txt", "/open", "/open"]


def test_robots_txt_that_cannot_be_had_stops_the_crawl(server, client):
    server.plan["/robots.txt"] = [(500, {}, b"")]
    with pytest.raises(SourceUnreachable, match=r"robots\.txt"):
        client.get_page(f"{CANONICAL}/x")


def test_robots_can_be_left_alone_on_a_site_of_ones_own(server):
    server.plan |= {"/robots.txt": [(200, {}, b"User-agent: *\nDisallow: /\n")], "/x": [(200, {}, b"mine")]}
    with make_client(server, respect_robots=False) as client:
        assert client.get_page(f"{CANONICAL}/x") == b"mine"


@pytest.mark.parametrize(
    ("robots", "requests_per_second"), [(b"", 5.0), (b"User-agent: *\nCrawl-delay: 0.2\n", 1000.0)]
)
def test_the_rate_holds_also_where_robots_txt_sets_it(server, robots, requests_per_second):
    server.plan |= {"/robots.txt": [(200, {}, robots)], "/x": [(200, {}, b"")]}
    with make_client(server, requests_per_second=requests_per_second) as client:
        started = time.monotonic()
        for _ in range(5):
            client.get_page(f"{CANONICAL}/x")
    assert time.monotonic() - started >= 4 * 0.2 - 0.01


@pytest.mark.parametrize(
    "options", [{"base_url": "theplace.ru"}, {"requests_per_second": 0.0}, {"photos_per_commit": 0}]
)
def test_settings_out_of_range_are_named(options):
    (name,) = options
    with pytest.raises(ConfigurationError, match=name if name != "base_url" else r"theplace\.ru"):
        CrawlConfig(**options)
