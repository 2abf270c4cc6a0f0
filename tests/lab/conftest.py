"""A lab that runs, with its cookie, and a browser where there is one."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra lab")
uvicorn = pytest.importorskip("uvicorn", reason="needs the extra lab")

from convivo.lab.security import Keys  # noqa: E402
from convivo.lab.server import Lab, bound, create_app  # noqa: E402
from convivo.lab.store import Store  # noqa: E402

from .running import Running  # noqa: E402
from .watched import Watched  # noqa: E402

MOST_UPLOAD, QUOTA = 2**21, 6 * 2**20


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the command line: a file, one below, a link out of it, and a neighbour."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.csv").write_text("1,2\n3,4\n")
    root = tmp_path_factory.mktemp("root")
    (root / "below").mkdir()
    (root / "trace.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    (root / "below" / "deep.txt").write_text("1 2 3\n")
    (root / "notes.md").write_text("not data")
    (root / "link.csv").symlink_to(outside / "secret.csv")
    (root / "out").symlink_to(outside)
    return root


@pytest.fixture(scope="session")
def lab(roots: Path) -> Iterator[Running]:
    """A lab in this process, with small limits."""
    place = bound(0)
    port = place.getsockname()[1]
    keys = Keys(port)
    shared = Lab([roots], Store(quota=QUOTA, most_upload=MOST_UPLOAD))
    config = uvicorn.Config(create_app(shared, keys), log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the lab did not start"
        time.sleep(0.01)
    running = Running(port, keys, shared)
    running.enter()
    yield running
    server.should_exit = True
    thread.join(30)
    assert not shared.store.folder.exists(), "the lab must remove its files"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium of this machine, or of LAB_CHROMIUM."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = os.environ.get("LAB_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium, as chromium or in LAB_CHROMIUM")
    # root in a container has no sandbox to start
    flags = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def connection(lab: Running) -> Iterator[HTTPConnection]:
    opened = HTTPConnection("127.0.0.1", lab.port, timeout=30)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def only_tab(browser: Any, lab: Running) -> Iterator[Watched]:
    opened = Watched(browser, lab, reduced_motion="reduce")
    opened.show()
    yield opened
    opened.close()


@pytest.fixture
def tab(only_tab: Watched) -> Iterator[Watched]:
    """The same tab for all, without a dialog, the focus or the pointer of the test before."""
    page = only_tab.page
    page.mouse.move(0, 0)
    page.evaluate("document.querySelectorAll('dialog').forEach(d => d.close())")
    page.evaluate("document.activeElement.blur()")
    yield only_tab
    assert only_tab.troubles == []
