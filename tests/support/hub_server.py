"""A stand-in of the Hugging Face hub on loopback, with faults on request.

    with HubServer({"owner/name": {"model.safetensors": b"...", "config.json": b"{}"}}) as hub:
        hub.sends["model.safetensors"] = b"other bytes than those it announces"

Files with the suffix of weights are stored as the hub stores large files: their sha256 is known to it.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

REVISION = "0123456789abcdef0123456789abcdef01234567"
_LARGE = (".safetensors", ".pt", ".pth", ".onnx")


class HubServer:
    """Serves repositories (`owner/name` -> path -> bytes), all of them at REVISION, while the context lasts."""

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = repositories
        self.sends: dict[str, bytes] = {}
        """Path -> bytes that are sent instead of the announced ones."""
        self.breaks_off: set[str] = set()
        """Paths whose next download breaks off in the middle."""
        self.refuses: dict[str, str] = {}
        """Repository -> the hub's code of the error, such as GatedRepo."""
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def used_by(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Self:
        """Make this process use this hub; huggingface_hub has read HF_ENDPOINT and HF_HUB_CACHE long ago."""
        template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", self.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.removeprefix("api/models/").split("/")
        repository, rest = "/".join(parts[:2]), parts[2:]
        revision = rest[1] if len(rest) > 1 else REVISION
        if repository in self.hub.refuses or repository not in self.hub.repositories:
            code = self.hub.refuses.get(repository, "RepoNotFound")
            self._refuse(403 if code == "GatedRepo" else 404, code)
        elif revision != REVISION:
            self._refuse(404, "RevisionNotFound")
        elif path.startswith("api/"):
            self._send_json(
                _tree(self.hub, repository) if rest[:1] == ["tree"] else _info(self.hub, repository)
            )
        elif (name := "/".join(rest[2:])) in self.hub.repositories[repository]:
            self._send_file(self.hub.repositories[repository][name], name, with_body=with_body)
        else:
            self._refuse(404, "EntryNotFound")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_json(self, values: Any) -> None:
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, data: bytes, name: str, *, with_body: bool) -> None:
        body = self.hub.sends.get(name, data) if with_body else data
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{sha256(data)}"')
        self.send_header("X-Linked-Etag", f'"{sha256(data)}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if with_body and name in self.hub.breaks_off:
            self.hub.breaks_off.discard(name)
            self.wfile.write(body[start : len(body) // 2])
            self.close_connection = True
        elif with_body:
            self.wfile.write(body[start:])


def _info(hub: HubServer, repository: str) -> dict[str, Any]:
    siblings = [
        {"rfilename": name, "size": len(data), "lfs": _large(name, data)}
        for name, data in hub.repositories[repository].items()
    ]
    return {"id": repository, "sha": REVISION, "siblings": siblings, "tags": []}


def _tree(hub: HubServer, repository: str) -> list[dict[str, Any]]:
    def entry(name: str, data: bytes) -> dict[str, Any]:
        oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        large = _large(name, data)
        shown = {"lfs": {**large, "oid": large["sha256"]}} if large else {}
        return {"type": "file", "path": name, "oid": oid, "size": len(data), **shown}

    return [entry(name, data) for name, data in hub.repositories[repository].items()]


def _large(name: str, data: bytes) -> dict[str, Any] | None:
    if PurePosixPath(name).suffix not in _LARGE:
        return None
    return {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
