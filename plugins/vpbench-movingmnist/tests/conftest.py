from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decode into a folder of this test run: the user's own cache is neither trusted nor touched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("VPBENCH_DATA", str(tmp_path_factory.mktemp("data")))
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(proxy, raising=False)
        patch.setenv("no_proxy", ",".join(filter(None, ["127.0.0.1", os.environ.get("no_proxy")])))
        yield


class FileServer(http.server.ThreadingHTTPServer):
    """Serves one file on the loopback interface, with the faults a test asks for."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.url = f"http://127.0.0.1:{self.server_port}/mnist_test_seq.npy"
        self.knows_ranges = True
        self.says_length = True
        self.faults: list[int] = []  #: one per request: 404, 503, or the number of bytes before it hangs up
        self.ranges: list[str | None] = []  #: what was asked for


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.ranges.append(wanted)
        fault = server.faults.pop(0) if server.faults else None
        if fault in (404, 503):
            return self.send_error(fault)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.knows_ranges else 0
        if start and start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:fault])
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A file server on 127.0.0.1; a test may change its content and faults as it goes."""
    server = FileServer(bytes(range(256)) * 40)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
