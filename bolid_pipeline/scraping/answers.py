"""A server's answers: read to their end within a bound, and told apart by their status."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse

from bolid_pipeline.errors import DownloadFailed

_REFUSED_STATUSES = {401: "forbidden", 403: "forbidden", 404: "not_found", 410: "not_found", 451: "forbidden"}
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """An answer that need not be tried again; `url` is the address on the network."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    """Empty unless the status is 200."""
    redirect_url: str | None


def read_answer(url: str, response: BaseHTTPResponse, max_bytes: int) -> Answer:
    """The answer with its whole body.

    The size is checked as stated, as received and as unpacked, so that a small packed file cannot fill the memory.

    Raises:
        DownloadFailed: `too_large`, the body is over `max_bytes`.
    """
    body = bytearray()
    if response.status == 200:
        _check_size(url, int(response.headers.get("Content-Length") or 0), max_bytes)
        for chunk in response.stream(_CHUNK_BYTES, decode_content=True):
            body += chunk
            _check_size(url, len(body), max_bytes)
    location = response.get_redirect_location()
    return Answer(
        url=url,
        status=response.status,
        headers=response.headers,
        body=bytes(body),
        redirect_url=urljoin(url, _as_utf8(location)) if location else None,
    )


def check_status(answer: Answer) -> None:
    """Raise DownloadFailed, with the status as reason, unless the answer is a 200."""
    if answer.status != 200:
        reason = _REFUSED_STATUSES.get(answer.status, "http_error")
        raise DownloadFailed(f"{answer.url} answers with status {answer.status}", reason=reason)


def _check_size(url: str, num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise DownloadFailed(f"{url} is over {max_bytes} bytes", reason="too_large")


def _as_utf8(header: str) -> str:
    # Headers are read as Latin-1, but servers send addresses with other letters as UTF-8.
    return header.encode("latin-1").decode("utf-8", errors="replace")
