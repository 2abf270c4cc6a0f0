"""Data for all views: samples, uploads, files of the command line, and the arrays themselves."""

import asyncio
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from convivo.data.readers import suffix_of
from convivo.lab import answers, parameters, samples
from convivo.lab.answers import Refusal
from convivo.lab.intake import MODELS, TABLES, take_in
from convivo.lab.store import MOST_VALUES

MOST_SHOWN = 2**22  # values sent at once
SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
RANGE = re.compile(r"(\d{1,9}):(\d{1,9})")


async def sources(request: Request) -> Response:
    """What can be opened: samples, and files of the command line."""
    roots = await run_in_threadpool(request.app.state.lab.roots.listed)
    return answers.document({"samples": samples.listed(), "files": roots})


async def opened(request: Request) -> Response:
    """Open {"sample": name} or {"entry": id}; the card."""
    lab, asked = request.app.state.lab, await parameters.body(request)
    if asked.has("sample"):
        name = asked.choice("sample", tuple(samples.SAMPLES))
        asked.done()
        return answers.document(await run_in_threadpool(lab.sample, name))
    path = lab.roots.path(asked.text("entry", 24))
    asked.done()
    return answers.document(await run_in_threadpool(lab.take_in, path, path.name))


async def uploaded(request: Request) -> Response:
    """Take in a file sent as the body; ?name= tells its kind by its suffix and is shown.

    ?group= (24 hexadecimal letters) puts files together that refer to each other by name, as a
    WFDB header and its samples do; with ?part=1 a file is kept only until the last one is read.
    """
    lab, query = request.app.state.lab, request.query_params
    name = query.get("name", "")
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise parameters.wrong("name", "1 to 200 letters", name)
    if "group" not in query:
        _check_kind(name)
        suffix = suffix_of(name) or Path(name).suffix.lower()
        path = await lab.store.receive(request.stream(), lab.store.room(suffix))
        return await _taken(request, path, name, path)
    folder = lab.store.bundle(query["group"])
    if not SAFE.fullmatch(name):
        raise parameters.wrong("name", "letters, digits, . _ and - for files sent together", name)
    if query.get("part") == "1":
        await lab.store.receive(request.stream(), folder / name)
        return answers.document({}, 202)
    _check_kind(name)
    path = await lab.store.receive(request.stream(), folder / name)
    return await _taken(request, path, name, folder)


def _check_kind(name: str) -> None:
    suffix = suffix_of(name) or Path(name).suffix.lower()
    if suffix in MODELS:  # said before a byte is read
        take_in(Path(name), name, Path(name))
    if suffix not in TABLES and suffix_of(name) is None:
        hint = "Known: .png .jpg .npy .nii.gz .edf .hea .csv .txt, and others"
        raise Refusal(415, "kind", f"a file of the kind {suffix or 'without suffix'!r}", hint)


async def _taken(request: Request, path: Path, name: str, left: Path) -> Response:
    """The card of what was received; `left` is removed."""
    try:
        card = await run_in_threadpool(request.app.state.lab.take_in, path, name)
    finally:
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        left.unlink(missing_ok=True)
    return answers.document(card, 201)


async def shown(request: Request) -> Response:
    """A channel of an array as .npy (*S), or a part: ?channel=0&region=2:10,0:64&step=1."""
    lab, query = request.app.state.lab, request.query_params
    path = lab.store.path(request.path_params["id"])
    asked = (query.get("channel", "0"), query.get("region", ""), query.get("step", "1"))
    return answers.array(await run_in_threadpool(_part, path, *asked))


def _part(path: Path, channel: str, region: str, step: str) -> np.ndarray:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    if not channel.isdecimal() or int(channel) >= len(values):
        raise parameters.wrong("channel", f"0 ... {len(values) - 1}", channel)
    if not step.isdecimal() or not 1 <= int(step) <= 4096:
        raise parameters.wrong("step", "1 ... 4096", step)
    grid = values[int(channel)]
    slices = tuple(slice(a, b, int(step)) for a, b in _spans(region, grid.shape))
    part = grid[slices]
    if part.size > MOST_SHOWN:
        hint = "Ask for a region, or a larger step"
        raise Refusal(413, "too-large", f"at most {MOST_SHOWN} values at once", hint)
    return np.array(part)


def _spans(text: str, shape: Sequence[int]) -> list[tuple[int, int]]:
    if not text:
        return [(0, n) for n in shape]
    found = [RANGE.fullmatch(part) for part in text.split(",")]
    spans = [(int(m[1]), int(m[2])) for m in found if m]
    fits = len(spans) == len(shape) == len(found)
    if not fits or not all(0 <= a < b <= n for (a, b), n in zip(spans, shape, strict=True)):
        raise parameters.wrong("region", f"first:end per axis, within {tuple(shape)}", text)
    return spans


async def known(request: Request) -> Response:
    """The card of an array."""
    return answers.document(request.app.state.lab.store.card(request.path_params["id"]))


async def dropped(request: Request) -> Response:
    """Forget an array."""
    request.app.state.lab.store.drop(request.path_params["id"])
    await asyncio.sleep(0)
    return Response(status_code=204)


routes = [
    Route("/sources", sources),
    Route("/open", opened, methods=["POST"]),
    Route("/files", uploaded, methods=["PUT"]),
    Route("/arrays/{id}.npy", shown),
    Route("/arrays/{id}", known, methods=["GET"]),
    Route("/arrays/{id}", dropped, methods=["DELETE"]),
]
assert MOST_SHOWN <= MOST_VALUES
