"""A stand-in for theplace: an HTTP server on loopback that shows a rendered world in the layout of the real site.

The world folder holds `world.json` and the photos that it names; the server sends nothing else of it.
"""

import hashlib
import io
import logging
import re
import sys
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image

from bodyworld.site.pages import (
    SiteGallery,
    gallery_page,
    index_page,
    letter_page,
    letter_path,
    load_world,
    photo_page,
)
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.images.decoding import open_image

_logger = logging.getLogger(__name__)

ROBOTS_TXT = "User-agent: *\nDisallow: /search/\n"

_RESIZED = re.compile(r"-gthumb-gwdata(\d+)-gfitdatamax(?=\.jpg$)")
_WIDTHS_PX = frozenset({200, 1600})
_ICON_PX = 128


class LoggedRequest(NamedTuple):
    """One request as the server saw it: seconds since the epoch, method, path with query, status."""

    time: float
    method: str
    path: str
    status: int


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The answer to a GET without conditions."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    modified: float = 0.0


NOT_FOUND = Reply(status=404, body="<!DOCTYPE html><title>404</title><h1>Страница не найдена</h1>\n".encode())


class BodyworldSite:
    """The site, served from a thread while the context lasts.

    Args:
        world_folder: a rendered world.
        port: the port on loopback; 0 for a free one.
        missing_originals_fraction: share of the photos (chosen by name) without an original file; the resized one is
            there.
        robots_txt: the text of /robots.txt.

    Raises:
        ConfigurationError: the folder holds no `world.json`.
    """

    def __init__(
        self,
        world_folder: Path,
        port: int = 0,
        *,
        missing_originals_fraction: float = 0.04,
        robots_txt: str = ROBOTS_TXT,
    ) -> None:
        self._folder = Path(world_folder)
        if not (self._folder / "world.json").is_file():
            raise ConfigurationError(
                f"{self._folder} holds no world.json; render one with `bolid bodyworld render`"
            )
        self._world = load_world(self._folder)
        self._modified = (self._folder / "world.json").stat().st_mtime
        self._robots_txt = robots_txt
        self._pages = self._static_pages()
        self._galleries = {unquote(gallery.path): gallery for gallery in self._world.galleries}
        photos = [photo for gallery in self._world.galleries for photo in gallery.photos]
        self._originals = {unquote(photo.original_path): self._folder / photo.file for photo in photos}
        self._missing = {path for path in self._originals if _fraction_of(path) < missing_originals_fraction}
        with_photos = (gallery for gallery in self._world.galleries if gallery.photos)
        self._icons = {gallery.icon_path: self._folder / gallery.photos[0].file for gallery in with_photos}
        self._resize = lru_cache(maxsize=64)(_resize)
        self._server = _Server(("127.0.0.1", port), self)
        serve = partial(self._server.serve_forever, poll_interval=0.05)
        self._thread = threading.Thread(target=serve, name="bodyworld-site", daemon=True)
        self.request_log: list[LoggedRequest] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the site, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Serve from this thread until it is interrupted."""
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def respond(self, path: str) -> Reply:
        """The answer to a GET of a path with its query, as a browser sends it."""
        parts = urlsplit(path)
        plain = unquote(parts.path)
        if plain == "/robots.txt":
            return Reply(body=self._robots_txt.encode(), content_type="text/plain; charset=utf-8")
        if plain in self._pages:
            return self._html(self._pages[plain]())
        if plain in self._galleries:
            return self._gallery(self._galleries[plain], parse_qs(parts.query).get("page", ["1"])[0])
        return self._picture(plain)

    def _html(self, html: str) -> Reply:
        return Reply(body=html.encode(), modified=self._modified)

    def _gallery(self, gallery: SiteGallery, number: str) -> Reply:
        if not number.isdecimal() or not 1 <= int(number) <= gallery.num_pages:
            return NOT_FOUND
        return self._html(gallery_page(gallery, int(number)))

    def _picture(self, path: str) -> Reply:
        """An original, an icon, or a resized file (made on request, as on the real site)."""
        width_px: int | None = None
        if path.startswith("/cache/") and (size := _RESIZED.search(path)) and int(size[1]) in _WIDTHS_PX:
            width_px = int(size[1])
            file = self._originals.get(_RESIZED.sub("", path.removeprefix("/cache")))
        elif path in self._icons:
            file, width_px = self._icons[path], _ICON_PX
        else:
            file = self._originals.get(path) if path not in self._missing else None
        if file is None or not file.is_file():
            return NOT_FOUND
        data = self._resize(file, width_px) if width_px else file.read_bytes()
        return Reply(body=data, content_type="image/jpeg", modified=file.stat().st_mtime)

    def _static_pages(self) -> dict[str, Callable[[], str]]:
        """Every page without `?page=`: its path, unquoted, and how it is made."""
        world = self._world
        pages: dict[str, Callable[[], str]] = {"/photos/": partial(index_page, world)}
        for letter in world.letters:
            pages[unquote(letter_path(letter))] = partial(letter_page, world, letter)
        for gallery in world.galleries:
            for photo in gallery.photos:
                pages[unquote(photo.page_path)] = partial(photo_page, gallery, photo)
        return pages


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: BodyworldSite) -> None:
        super().__init__(address, _Handler)
        self.site = site

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - socketserver's
        """Log an error, unless the client has just gone away."""
        if not isinstance(sys.exception(), ConnectionError):
            _logger.error("request of %s", client_address, exc_info=sys.exception())


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD with keep-alive and conditional requests (RFC 9110, 13)."""

    protocol_version = "HTTP/1.1"
    server_version = "BodyworldSite"
    disable_nagle_algorithm = True
    timeout = 60
    wbufsize = -1  # headers and body leave together

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        site = cast(_Server, self.server).site
        reply = site.respond(self.path)
        etag = f'"{hashlib.sha256(reply.body).hexdigest()[:32]}"'
        status = HTTPStatus.NOT_MODIFIED if self._is_current(reply, etag) else reply.status
        entry = LoggedRequest(time.time(), self.command, self.path, int(status))
        site.request_log.append(entry)
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", formatdate(reply.modified, usegmt=True))
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if with_body and status != HTTPStatus.NOT_MODIFIED:
            self.wfile.write(reply.body)

    def _is_current(self, reply: Reply, etag: str) -> bool:
        """True if the client already holds this answer; If-None-Match takes precedence over If-Modified-Since."""
        if reply.status != HTTPStatus.OK:
            return False
        if tags := self.headers.get("If-None-Match"):
            return tags.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
        except ValueError:
            return False
        return int(reply.modified) <= since.timestamp()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        _logger.debug(format, *args)


def _resize(file: Path, width_px: int) -> bytes:
    """The bytes of the picture, at most `width_px` wide; a broken file comes back as it is."""
    data = file.read_bytes()
    try:
        with open_image(io.BytesIO(data)) as picture:
            if picture.width <= width_px:
                return data
            height_px = max(1, round(picture.height * width_px / picture.width))
            picture.draft("RGB", (width_px, height_px))
            resized = picture.convert("RGB").resize((width_px, height_px), Image.Resampling.LANCZOS)
    except OSError:
        return data
    target = io.BytesIO()
    resized.save(target, "JPEG", quality=88)
    return target.getvalue()


def _fraction_of(path: str) -> float:
    """A number in [0, 1) that is the same for the same path, on every machine."""
    return zlib.crc32(path.encode()) / 2**32
