"""Connections that check whom they reach, and answers that end in time.

Both checks sit below `requests`, where nothing gets round them. The peer's address is checked once the connection
stands and before anything is sent; the deadline is checked at every read from the socket. A read time-out alone would
not end an answer of one byte a second.
"""

import http.client
import io
import socket
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, Retry, Timeout
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ProtocolError
from urllib3.util import parse_url

from bolid_pipeline.errors import DownloadFailed

_MAX_POOLS = 4
"""A site has its host with and without `www.`, each by http and https."""
_BUFFER_BYTES = 1 << 16
"""Most answers are smaller, and read from the socket at once."""
_NEVER = Retry(False)


class GuardedAdapter(HTTPAdapter):
    """Sends requests over guarded connections; it tries once and leaves retries to the caller.

    Args:
        deadline_seconds: longest time for one answer, from the request to the last byte of the body.
        connect_timeout_seconds: longest wait for a connection.
        read_timeout_seconds: longest silence within an answer.
        check_peer: called with host and IP address of every new connection; raises to refuse it. It is not called
            for a connection to a proxy, which itself decides whom it reaches.
        num_connections: connections kept open.
        proxy_url: proxy to go through; None for direct connections.
    """

    def __init__(
        self,
        *,
        deadline_seconds: float,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        check_peer: Callable[[str, str], None],
        num_connections: int,
        proxy_url: str | None,
    ) -> None:
        self._pool_classes = {
            "http": _guarded(HTTPConnectionPool, deadline_seconds, check_peer),
            "https": _guarded(HTTPSConnectionPool, deadline_seconds, check_peer),
        }
        self._timeout = Timeout(connect=connect_timeout_seconds, read=read_timeout_seconds)
        self._proxies = {"http": proxy_url, "https": proxy_url} if proxy_url else {}
        self._connections = lru_cache(_MAX_POOLS)(self._make_connections)
        super().__init__(pool_connections=_MAX_POOLS, pool_maxsize=num_connections, max_retries=0)

    def get(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """The answer to a GET, its body yet to be read; use it in a `with`.

        Raises:
            ValueError: `url` is no address.
            requests.ConnectionError: the connection broke before the answer began.
            urllib3.exceptions.HTTPError: any other failure.
            DownloadFailed: from `check_peer`, or `deadline`.
        """
        # `HTTPAdapter.send` does the same for any method, body and cookies, which takes twice the processor time.
        address = parse_url(url)
        connections, is_by_proxy = self._connections(address.scheme, address.netloc)
        try:
            return connections.urlopen(
                "GET",
                address._replace(fragment=None).url if is_by_proxy else address.request_uri,
                headers=headers,
                retries=_NEVER,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
            )
        except ProtocolError as error:
            raise requests.ConnectionError(error) from error

    def _make_connections(self, scheme: str, netloc: str) -> tuple[HTTPConnectionPool, bool]:
        """The connections of `requests` to a host, and whether a proxy is asked for the whole address."""
        url = f"{scheme}://{netloc}/"
        request = requests.Request("GET", url).prepare()
        connections = self.get_connection_with_tls_context(request, verify=True, proxies=self._proxies)
        self.cert_verify(connections, url, verify=True, cert=None)
        return connections, self.request_url(request, self._proxies) != request.path_url

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of `requests`, with guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The pools of `requests` through a proxy, with guarded connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _guarded(
    pool_class: type[HTTPConnectionPool], deadline_seconds: float, check_peer: Callable[[str, str], None]
) -> type[HTTPConnectionPool]:
    """`pool_class` whose connections check their peer and give their answers a deadline."""
    # urllib3 makes connections deep inside its pools and offers no hook for either check: a pool only lets one name the
    # class of its connections, and a connection the class of its responses. Each pool gets classes of its own, because
    # `requests` hands no arguments down to them; patching urllib3's own classes would change every other user of it.

    class GuardedConnection(cast(Any, pool_class.ConnectionCls)):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.response_class = partial(_TimedResponse, deadline_seconds)

        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            if self.proxy is None:
                try:
                    check_peer(self.host, connection.getpeername()[0])
                except DownloadFailed:
                    connection.close()
                    raise
            return connection

    return type("GuardedPool", (pool_class,), {"ConnectionCls": GuardedConnection})


class _TimedResponse(http.client.HTTPResponse):
    """A response whose headers and body must be read before its deadline."""

    def __init__(self, deadline_seconds: float, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimedReader(raw, sock, deadline_seconds), _BUFFER_BYTES)


class _TimedReader(io.RawIOBase):
    """Reads a socket until `deadline_seconds` from now, then raises DownloadFailed `deadline`."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline_seconds: float) -> None:
        self._raw = raw
        self._sock = sock
        self._longest_silence = sock.gettimeout()
        self._seconds = deadline_seconds
        self._deadline = time.monotonic() + deadline_seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left > 0:
            if self._longest_silence is None or left < self._longest_silence:
                self._sock.settimeout(left)
            try:
                return self._raw.readinto(buffer)
            except TimeoutError:
                if time.monotonic() < self._deadline:
                    raise
        raise DownloadFailed(f"the answer is not whole after {self._seconds} s", reason="deadline")

    def close(self) -> None:
        self._raw.close()
        super().close()
