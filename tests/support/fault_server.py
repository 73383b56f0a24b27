"""A gallery site on loopback that goes wrong on request: a page is a `Response`, or a function that makes one.

    with FaultySite(gallery({"a": jpeg(1), "b": jpeg(2)})) as site:
        site.pages[original_path("a")] = Response(status=503)
        site.pages[original_path("b")] = in_turn(Response(delivery="reset"), Response(body=jpeg(2)))

Any other path is answered with 404. `site.log` holds all requests.
"""

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal, Self, cast
from urllib.parse import quote

CANONICAL_URL = "https://gallery.invalid"
DRIP_SECONDS = 0.02


@dataclass(frozen=True)
class Request:
    """A request as it came in; `time` by `time.monotonic`."""

    path: str
    headers: Mapping[str, str]
    time: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, sound or faulty.

    `delivery`: `whole`; `reset`, the connection is reset without an answer; `hang`, nothing is sent until the client
    leaves; `drip` and `drip_headers`, a byte every 20 ms until the client leaves. `stated_length` is a false
    Content-Length. A response with an ETag in `headers` becomes a 304 if the client already has it.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    stated_length: int | None = None
    delivery: Literal["whole", "reset", "hang", "drip", "drip_headers"] = "whole"


Page = Response | Callable[[Request], Response]


class FaultySite:
    """Serves `pages` (path with its query -> page) while the context lasts; pages may be changed at any time.

    `log` holds the requests in the order they came, `max_in_flight` the most that were under way at one time.
    """

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages: MutableMapping[str, Page] = dict(pages)
        self.log: list[Request] = []
        self.max_in_flight = 0
        self.closing = threading.Event()
        self._in_flight = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The site's address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def num_requests(self, path: str) -> int:
        """Number of requests for a path."""
        return sum(request.path == path for request in self.log)

    def respond(self, request: Request) -> Response:
        """The answer to a request."""
        page = self.pages.get(request.path, Response(status=404, body=b"<h1>404</h1>"))
        response = page if isinstance(page, Response) else page(request)
        known = request.headers.get("If-None-Match")
        return Response(status=304) if known and known == response.headers.get("ETag") else response

    @contextlib.contextmanager
    def logged(self, request: Request):
        """Note the request, and that it is under way."""
        with self._lock:
            self.log.append(request)
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1


def in_turn(*responses: Response) -> Page:
    """The responses one after the other, the last one for good."""
    left = list(responses)
    lock = threading.Lock()

    def next_one(_: Request) -> Response:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return next_one


def picture(data: bytes) -> Response:
    """A picture file, whatever its bytes are."""
    return Response(body=data, content_type="image/jpeg")


def html(body: str, title: str = "") -> Response:
    """A page in the site's frame."""
    return Response(
        body=(
            f'<!DOCTYPE html><html lang="ru"><head><meta charset="utf-8"><title>{escape(title)}</title></head><body>'
            f'<div id="vue-app"><div class="content-wrapper">{body}</div></div></body></html>'
        ).encode()
    )


def gallery(
    photos: Mapping[str, bytes], *, slug: str = "anna", name: str = "Anna Belle", letter: str = "A"
) -> dict[str, Page]:
    """All pages and files of a site with one person: index, letter, one grid page, photo pages, both files of each.

    Args:
        photos: name of the file, without its extension -> bytes; the resized file has the same.
        slug: the person in addresses.
        name: the person on the page.
        letter: letter of the list that names the person.
    """
    pages: dict[str, Page] = {
        "/photos/": index_page([letter]),
        letter_path(letter): letter_page({slug: name}),
        gallery_path(slug): gallery_page(photos, slug=slug, name=name),
    }
    for file_name, data in photos.items():
        pages[photo_path(file_name, slug)] = photo_page(resized_path(file_name, slug), name=name)
        pages[original_path(file_name, slug)] = pages[resized_path(file_name, slug)] = picture(data)
    return pages


def index_page(letters: Iterable[str]) -> Response:
    """`/photos/`."""
    links = "".join(f'<a href="{letter_path(letter)}">{escape(letter)}</a>' for letter in letters)
    return html(f'<div class="main-col-content"><div class="letters-list">{links}</div></div>')


def letter_page(names: Mapping[str, str]) -> Response:
    """A list of people: slug -> name."""
    cards = "".join(
        f'<div class="model-item"><a class="model-link" href="{gallery_path(slug)}">'
        f'<span class="name">{escape(name)}</span></a></div>'
        for slug, name in names.items()
    )
    return html(f'<div class="main-col-content"><div class="models_list row my-5">{cards}</div></div>')


def gallery_page(
    photo_names: Iterable[str], *, slug: str = "anna", name: str = "Anna Belle", stated: int | None = None
) -> Response:
    """A grid page that states `stated` photos, or as many as it shows."""
    names = list(photo_names)
    cells = "".join(f'<a href="{photo_path(photo, slug)}"><img src="/thumb.jpg"></a>' for photo in names)
    return html(
        f'<div class="main-col-content"><h1 class="my-3">{escape(name)}</h1>'
        f'<div class="d-none d-sm-block"><p>Фото {len(names) if stated is None else stated} шт</p></div>'
        f'<div class="row gx-1 justify-content-center">{cells}</div></div>',
        title=name,
    )


def photo_page(picture_path: str, *, name: str = "Anna Belle") -> Response:
    """The page of one photo."""
    return html(
        f'<div class="pic-big-box__main"><span class="s-pic"><img src="{picture_path}"></span></div>',
        title=name,
    )


def letter_path(letter: str) -> str:
    """Path of a list of people."""
    return f"/photos/celebs/{quote(letter)}/"


def gallery_path(slug: str) -> str:
    """Path of a person's gallery."""
    return f"/photos/{quote(slug)}/"


def photo_path(name: str, slug: str = "anna") -> str:
    """Path of a photo's page."""
    return f"{gallery_path(slug)}pic-{quote(name)}.html"


def original_path(name: str, slug: str = "anna") -> str:
    """Path of a photo's original file."""
    return f"/archive/{quote(slug)}/img/{quote(name)}.jpg"


def resized_path(name: str, slug: str = "anna") -> str:
    """Path of a photo's resized file."""
    return f"/cache/archive/{quote(slug)}/img/{quote(name)}-gthumb-gwdata1600-gfitdatamax.jpg"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: FaultySite) -> None:
        super().__init__(address, _Handler)
        self.site = site


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        site = cast(_Server, self.server).site
        request = Request(self.path, dict(self.headers))
        with site.logged(request), contextlib.suppress(ConnectionError):
            self._deliver(site.respond(request), site.closing)

    def _deliver(self, response: Response, closing: threading.Event) -> None:
        self.close_connection = response.delivery != "whole" or response.stated_length is not None
        if response.delivery == "reset":
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if response.delivery == "hang":
            self.connection.recv(1)  # ends when the client leaves
            return
        self._send_headers(response, closing)
        if response.delivery == "drip":
            self._drip(response.body, closing)
        else:
            self.wfile.write(response.body)
            self.wfile.flush()

    def _send_headers(self, response: Response, closing: threading.Event) -> None:
        length = len(response.body) if response.stated_length is None else response.stated_length
        if response.delivery == "drip_headers":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 10_000, closing)
        self.send_response(response.status)
        for name, value in {
            "Content-Type": response.content_type,
            **({} if response.status == 304 else {"Content-Length": str(length)}),
            **response.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, data: bytes, closing: threading.Event) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if closing.wait(DRIP_SECONDS):
                return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass
