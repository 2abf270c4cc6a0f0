"""`convivo lab` as a program: its address, its end, and what it leaves behind."""

import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra lab")

from convivo import cli

ADDRESS = re.compile(r"convivo lab: http://127\.0\.0\.1:(\d+)/\?token=([\w-]+)")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen]]:
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(started: list, tmp_path: Path, *words: str) -> tuple[subprocess.Popen, int, str, str]:
    """The process, its port and token, and what it said before."""
    command = [sys.executable, "-m", "convivo", "lab", "--no-browser", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    started.append(process)
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        if found := ADDRESS.search(line):
            return process, int(found[1]), found[2], said
        said += line
    raise AssertionError(said + (process.stderr.read() if process.stderr else ""))


def status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    found = connection.getresponse().status
    connection.close()
    return found


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_interrupted_and_removes_its_files(
    started: list, tmp_path: Path, number: int
) -> None:
    process, port, token, _ = start(started, tmp_path, "--port", "0")
    assert status(port, f"/?token={token}") == 303
    assert [path.name for path in tmp_path.glob("convivo-lab-*")]
    process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert list(tmp_path.glob("convivo-lab-*")) == []
    assert "Traceback" not in error
    if number == signal.SIGINT:
        assert process.returncode == 0
        assert "the lab is closed" in out


def test_a_taken_port_is_no_obstacle(started: list, tmp_path: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()
        taken = place.getsockname()[1]
        _, port, _, said = start(started, tmp_path, "--port", str(taken))
    assert port != taken
    assert f"port {taken} is taken; using {port}" in said


def test_a_missing_folder_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "/nowhere/at/all", "--no-browser"]) == 2
    assert "/nowhere/at/all: must be a file or folder; got nothing." in capsys.readouterr().err


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; from convivo import cli;"
        "sys.exit(cli.main(['lab', '--no-browser']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2
    assert "no package 'uvicorn'. pip install 'convivo[lab]'." in run.stderr


@pytest.mark.skipif(os.name != "posix", reason="parents of POSIX")
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'convivo', 'lab',"
        " '--no-browser', '--port', '0'], stdout=subprocess.PIPE, text=True);"
        "print(p.pid, flush=True); [print(p.stdout.readline(), flush=True)]"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, text=True, check=True, env=environment, timeout=120,
    )  # fmt: skip
    pid = int(run.stdout.split()[0])
    for _ in range(600):
        if not _alive(pid):
            assert list(tmp_path.glob("convivo-lab-*")) == []
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("the lab outlives its parent")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return True


def test_the_page_is_part_of_the_package() -> None:
    from convivo.lab.server import Page

    page = Page()
    assert {"index.html", "app.css", "app.js", "views/bench.js", "ops/conv.js"} <= set(page.files)
    text = "".join(path.read_text(encoding="utf-8") for path in page.files.values())
    assert "innerHTML" not in text
    assert "eval(" not in text
    links = set(re.findall(r"https?://[^\s\"'`]+", text))
    assert all(link.startswith("http://www.w3.org/") for link in links)
    packed = sum(len(gzip.compress(path.read_bytes())) for path in page.files.values())
    assert packed < 200_000, "what a browser loads before it can draw"
