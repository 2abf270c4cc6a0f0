"""A folder on the web of this machine: ranges, transfers that break off, and a record of it all."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


class WebFolder:
    """Files by name. `breaks`: after how many bytes the next answers stop, one number each.

    asked: (name, Range or None) of every request. ranges: whether the server knows pieces.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.breaks: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        self.ranges = True
        self.status: int | None = None
        self.url = ""

    def answer(self, handler: SimpleHTTPRequestHandler) -> None:
        name, wish = handler.path.lstrip("/"), handler.headers.get("Range")
        self.asked.append((name, wish))
        content = self.files.get(name)
        if self.status is not None or content is None:
            handler.send_error(self.status or 404)
            return
        start = int(wish.removeprefix("bytes=").rstrip("-")) if wish and self.ranges else 0
        if start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-/{len(content)}")
        handler.end_headers()
        stop = self.breaks.pop(0) if self.breaks else len(content)
        handler.wfile.write(content[start : start + stop])


@contextmanager
def serving(files: dict[str, bytes]) -> Generator[WebFolder, None, None]:
    """A server on a free port of this machine."""
    folder = WebFolder(files)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            folder.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    folder.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield folder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unused_address() -> str:
    """Of a port on which nobody answers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    port = server.server_port
    server.server_close()
    return f"http://127.0.0.1:{port}/"


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
