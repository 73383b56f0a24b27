"""Connections that look at whom they reach, and answers that end in time.

Both are held below `requests`, where nothing gets round them: the peer is looked at when its connection stands and
before anything is sent, the clock at every read from the socket. A read time-out alone does not end an answer
of one byte a second.
"""

import http.client
import io
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bolid_pipeline.errors import DownloadFailed


class GuardedAdapter(HTTPAdapter):
    """The transport of a session; it tries once, retries are the caller's.

    Args:
        deadline_seconds: longest time for one answer, from the request to the last byte of the body.
        check_peer: called with host and IP address of every new connection; raises to refuse it. A connection
            to a proxy is not looked at: whom it reaches is the proxy's matter.
        num_connections: connections kept open.
    """

    def __init__(
        self, *, deadline_seconds: float, check_peer: Callable[[str, str], None], num_connections: int
    ) -> None:
        self._pool_classes = {
            "http": _guarded(HTTPConnectionPool, deadline_seconds, check_peer),
            "https": _guarded(HTTPSConnectionPool, deadline_seconds, check_peer),
        }
        super().__init__(pool_connections=2, pool_maxsize=num_connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Requests' own, with guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Requests' own, with guarded connections."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager


def _guarded(
    pool_class: type[HTTPConnectionPool], deadline_seconds: float, check_peer: Callable[[str, str], None]
) -> type[HTTPConnectionPool]:
    """`pool_class` whose connections check their peer and give their answers a deadline."""

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
    """An answer, headers and body, that is read within its deadline."""

    def __init__(self, deadline_seconds: float, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_TimedReader(raw, sock, deadline_seconds))


class _TimedReader(io.RawIOBase):
    """Reads a socket until `deadline_seconds` from now; then raises DownloadFailed `deadline`."""

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
            self._sock.settimeout(min(left, self._longest_silence or left))
            try:
                return self._raw.readinto(buffer)
            except TimeoutError:
                if time.monotonic() < self._deadline:
                    raise
        raise DownloadFailed(f"the answer is not whole after {self._seconds} s", reason="deadline")

    def close(self) -> None:
        self._raw.close()
        super().close()
