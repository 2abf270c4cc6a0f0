"""The lab's server: one app for the page, its files and its data, on this machine only."""

import gzip
import hashlib
import os
import socket
import threading
import time
import webbrowser
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from convivo.data.readers.failures import missing_extra

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Mount, Route
except ImportError as error:
    raise missing_extra(
        (error.name or "starlette").partition(".")[0], "lab", "convivo lab"
    ) from None

from convivo.errors import ConvivoError, UsageError
from convivo.lab import (
    answers,
    api_architecture,
    api_backward,
    api_bench,
    api_data,
    intake,
    samples,
)
from convivo.lab.answers import Refusal
from convivo.lab.roots import Roots
from convivo.lab.security import Guard, Keys
from convivo.lab.store import Store
from convivo.lab.worker import Worker

VIEWS = (api_data, api_bench, api_backward, api_architecture)
FIRST = "cells"
STATIC = Path(str(resources.files("convivo.lab"))) / "static"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class Lab:
    """What the endpoints share: arrays, files, samples, the computing process."""

    def __init__(self, paths: Sequence[Path] = (), store: Store | None = None) -> None:
        self.roots, self.worker = Roots(paths), Worker()
        self.store = store or Store()
        self._samples: dict[str, str] = {}

    async def compute(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work(*arguments)` in the computing process, while the server answers others."""
        return await run_in_threadpool(self.worker.call, work, *arguments)

    def take_in(self, path: Path, name: str) -> dict:
        """Read a file into the store; its card."""
        out = self.store.room(".npy")
        try:
            return self.store.keep(out, intake.take_in(path, name, out))
        except BaseException:
            out.unlink(missing_ok=True)
            raise

    def sample(self, name: str) -> dict:
        """A sample in the store, made once; its card."""
        try:
            return self.store.card(self._samples.get(name, ""))
        except Refusal:
            out = self.store.room(".npy")
            card = self.store.keep(out, samples.make(name, out))
            self._samples[name] = card["id"]
            return card

    def close(self) -> None:
        """End the process, remove the files."""
        self.worker.close()
        self.store.close()


class Page:
    """The static files, by name: what is not in the list is not there."""

    def __init__(self, folder: Path = STATIC) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in KINDS)
        self.files = {path.relative_to(folder).as_posix(): path for path in paths}
        seen = hashlib.sha256()
        for name, path in self.files.items():
            seen.update(name.encode() + path.read_bytes())
        self.version = seen.hexdigest()[:12]

    def index(self, _: Request) -> Response:
        """The page, which names its files by their version."""
        text = self.files["index.html"].read_text(encoding="utf-8")
        names = [name for name in self.files if name.endswith(".js")]
        link = '<link rel="modulepreload" href="static/VERSION/{}">'
        text = text.replace("<!-- modules -->", "\n".join(map(link.format, names)))
        text = text.replace("VERSION", self.version)
        return Response(text, 200, answers.NO_STORE, "text/html")

    def file(self, request: Request) -> Response:
        """One file; unchanging under this version."""
        name, version = request.path_params["name"], request.path_params["version"]
        path = self.files.get(name) if version == self.version else None
        if path is None:
            raise Refusal(404, "gone", "there is no such file", "Reload the page")
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        body, kind = path.read_bytes(), KINDS[path.suffix]
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, mtime=0)
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(body, 200, headers, kind)


def create_app(lab: Lab, keys: Keys) -> Starlette:
    """The app of one lab; ends its process and removes its files when it shuts down."""
    page = Page()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        threading.Thread(target=_prepare, args=(lab,), daemon=True).start()
        yield
        lab.close()

    data = [route for view in VIEWS for route in view.routes]
    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/static/{version}/{name:path}", page.file),
            Mount("/api/v1", routes=data),
        ],
        middleware=[Middleware(Guard, keys=keys)],
        exception_handlers={
            Refusal: answers.refused,
            ConvivoError: answers.refused,
            404: _nothing,
            405: _nothing,
            500: _failed,
        },
        lifespan=lifespan,
    )
    app.state.lab = lab
    return app


def _prepare(lab: Lab) -> None:
    """What the first page will ask for: it takes seconds to import what computes."""
    with suppress(OSError, Refusal):  # the lab ended before it began
        lab.sample(FIRST)
        lab.worker.start()


def _nothing(_: Request, __: Exception) -> Response:
    return Refusal(404, "gone", "there is nothing of this name", "Reload the page").response()


def _failed(_: Request, error: Exception) -> Response:
    message = f"this must not happen: {type(error).__name__}"
    return Refusal(500, "internal", message, "See the terminal, and report it").response()


def bound(port: int) -> socket.socket:
    """A socket on this machine's own address: on `port`, or where it is taken on a free one.

    Raises:
        UsageError: no port can be had.
    """
    for number in (port, 0):
        place = socket.socket()
        if os.name == "posix":  # elsewhere it would share the port with whoever has it
            place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(("127.0.0.1", number))
            place.listen(128)  # so that a browser which is quicker than the server waits
            return place
        except OSError as error:
            place.close()
            if number == 0:
                raise UsageError("convivo lab", "a port is free", error, "End a program") from None
    raise AssertionError("the loop ends inside")


def run(
    paths: Sequence[Path], *, port: int, browser: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    """Serve until interrupted, or until the process that started it ends.

    Args:
        paths: folders and files that may be opened from the page.
        port: where to listen, if it is free. browser: open it. say: for the address.
    Returns:
        {"schema": 1, "port": ...}.
    Raises:
        UsageError: a path that is not there, or no port.
    """
    parent = os.getppid()  # before anything is said: who reads it may end at once
    lab, place = Lab(paths), None
    try:
        place = bound(port)
        number = place.getsockname()[1]
        if number != port != 0:
            say(f"port {port} is taken; using {number}")
        _serve(lab, place, parent, browser=browser, say=say)
    finally:  # also where nobody reads what is said, and nothing was served
        lab.close()
        if place is not None:
            place.close()
    return {"schema": 1, "port": number}


def _serve(
    lab: Lab, place: socket.socket, parent: int, *, browser: bool, say: Callable[[str], None]
) -> None:
    number = place.getsockname()[1]
    keys = Keys(number)
    address = f"http://127.0.0.1:{number}/?token={keys.token()}"
    say(f"convivo lab: {address}")
    say("The link is for one use; it becomes a cookie. Ctrl-C ends the lab.")
    app = create_app(lab, keys)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    )
    threading.Thread(target=_watch, args=(parent, server), daemon=True).start()
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with suppress(KeyboardInterrupt):  # the usual end
        server.run(sockets=[place])


def _watch(parent: int, server: uvicorn.Server, seconds: float = 2.0) -> None:
    """End with the process that started the lab: nobody could end it otherwise."""
    while os.getppid() == parent and not server.should_exit:
        time.sleep(seconds)
    server.should_exit = True
