"""View 3, architecture: a network's graph, its memory, and its memory over the input's size."""

import gc
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from convivo.architectures import ARCHITECTURES
from convivo.lab import answers, architecture_runs, parameters
from convivo.lab.answers import Refusal
from convivo.lab.parameters import Parameters
from convivo.lab.program_shelf import shelf
from convivo.planning.limits import limit_source, memory_limit

if TYPE_CHECKING:
    from convivo.lab.architecture_costs import Question

MODES = ("train", "infer")
PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
MOST_SAMPLES, MOST_CHANNELS, MOST_CLASSES, MOST_BATCH = 2**17, 4096, 100_000, 65_536
AT_ONCE = 6  # sizes of a curve in one call: the process is free again soon
PROGRAM, MOST_PROGRAM = "program", 2**24
MOST_OPTIONS, MOST_LIST, MOST_NUMBER = 8, 16, 10**6
_calls = [0]


async def listed(request: Request) -> Response:
    """Every network, this machine's memory, and the runs in the folders of the command line."""
    lab = request.app.state.lab
    nets = [
        {
            "name": name,
            "year": entry.year,
            "paper": entry.paper,
            "task": entry.tasks[0],
            "counted": entry.counted,
        }
        for name, entry in ARCHITECTURES.items()
    ]
    runs = await run_in_threadpool(architecture_runs.listed, lab.roots)
    machine = {"limit": memory_limit(), "source": limit_source()}
    return answers.document({"nets": nets, "machine": machine, "runs": runs})


async def run(request: Request) -> Response:
    """The question that a run's plan answers, what was predicted then, and what was measured."""
    entry = request.path_params["entry"]
    found = await run_in_threadpool(architecture_runs.opened, request.app.state.lab.roots, entry)
    return answers.document(found)


async def program(request: Request) -> Response:
    """Take in the graph of an exported program, its `model.json`; its card."""
    lab, name = request.app.state.lab, request.query_params.get("name", "own module")
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise parameters.wrong("name", "1 to 200 letters", name)
    path = await lab.store.receive(request.stream(), lab.store.room(".json"))
    try:
        if path.stat().st_size > MOST_PROGRAM:
            hint = "Export a smaller network"
            raise Refusal(413, "too-large", f"a graph holds at most {MOST_PROGRAM} bytes", hint)
        facts = await lab.compute(compute_facts, str(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return answers.document(shelf(request).keep(path, {"name": name, **facts}), 201)


async def known_program(request: Request) -> Response:
    """The card of a program."""
    _, card = shelf(request).item(request.path_params["id"])
    return answers.document(card)


async def plan(request: Request) -> Response:
    """The graph, the ledger by layer and over time, and the totals of one setting."""
    asked = await parameters.body(request)
    fields = _question(request, asked)
    asked.done()
    return answers.document(await request.app.state.lab.compute(compute_plan, fields))


async def sizes(request: Request) -> Response:
    """The sizes of an axis that the network takes, for the slider."""
    asked = await parameters.body(request)
    fields = _question(request, asked)
    asked.done()
    return answers.document(await request.app.state.lab.compute(compute_sizes, fields))


async def curve(request: Request) -> Response:
    """Memory at up to six sizes; the page asks again for more, and stops when it needs no more."""
    asked = await parameters.body(request)
    fields = _question(request, asked)
    wanted = asked.rows("sizes", AT_ONCE, len(fields["size"]), 1, MOST_SAMPLES)
    asked.done()
    found = await request.app.state.lab.compute(compute_curve, fields, wanted)
    return answers.document({"points": found})


def _question(request: Request, asked: Parameters) -> dict[str, Any]:
    dims = asked.integer("dims", 1, 3)
    own = asked.text("program", 24, "")
    path = str(shelf(request).item(own)[0]) if own else ""
    return {
        "program": path,
        "net": asked.choice("net", (PROGRAM,) if own else tuple(ARCHITECTURES)),
        "channels": asked.integer("channels", 1, MOST_CHANNELS),
        "size": asked.integers("size", dims, 1, MOST_SAMPLES),
        "classes": asked.integer("classes", 1, MOST_CLASSES),
        "batch": asked.integer("batch", 1, MOST_BATCH),
        "mode": asked.choice("mode", MODES),
        "precision": asked.choice("precision", PRECISIONS),
        "optimizer": asked.choice("optimizer", OPTIMIZERS),
        "width": asked.number("width", 1 / 64, 16, 1.0),
        "options": _options(asked.plain("options") if asked.has("options") else {}),
    }


def _options(value: Any) -> tuple[tuple[str, Any], ...]:
    """A network's own options, numbers and words only: no file is named by them."""
    if not isinstance(value, dict) or len(value) > MOST_OPTIONS:
        raise parameters.wrong("options", f"an object of at most {MOST_OPTIONS} options", value)
    return tuple((str(name), _option(str(name), one)) for name, one in sorted(value.items()))


def _option(name: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) <= MOST_LIST:
        return tuple(_option(name, one) for one in value)
    small = isinstance(value, int | float) and abs(value) <= MOST_NUMBER
    word = isinstance(value, str) and len(value) <= 40 and value.replace("_", "").isalnum()
    if name in ("pretrained", "init", "inflation") or not (small or word):
        raise parameters.wrong(f"options.{name}", "a number, a word, or a short list", value)
    return value


def compute_facts(path: str) -> dict[str, Any]:
    """In the worker."""
    from convivo.lab.program_network import facts

    return facts(path)


def compute_plan(fields: dict[str, Any]) -> dict[str, Any]:
    """In the worker."""
    found = _planned(_asked(fields))
    _tidy()
    return found


def compute_sizes(fields: dict[str, Any]) -> dict[str, Any]:
    """In the worker."""
    from convivo.lab.architecture_sizes import legal_sizes

    return legal_sizes(_asked(fields))


def compute_curve(fields: dict[str, Any], wanted: list[tuple[int, ...]]) -> list[dict[str, Any]]:
    """In the worker."""
    question = _asked(fields)
    found = [_point(question, size) for size in wanted]
    _tidy()
    return found


def _asked(fields: dict[str, Any]) -> "Question":
    from convivo.lab.architecture_costs import Question

    return Question(**fields)


def _tidy(every: int = 8) -> None:
    """Traces leave cycles behind, in the generation that is looked through too rarely for us."""
    _calls[0] += 1
    if _calls[0] % every == 0:
        gc.collect()


@lru_cache(maxsize=8)
def _planned(question: "Question") -> dict[str, Any]:
    from convivo.lab.architecture_costs import planned

    return planned(question)


@lru_cache(maxsize=4096)
def _point(question: "Question", size: tuple[int, ...]) -> dict[str, Any]:
    from convivo.lab.architecture_costs import point

    return point(question, size)


routes = [
    Route("/arch", listed),
    Route("/arch/runs/{entry}", run),
    Route("/arch/programs", program, methods=["PUT"]),
    Route("/arch/programs/{id}", known_program),
    Route("/arch/plan", plan, methods=["POST"]),
    Route("/arch/sizes", sizes, methods=["POST"]),
    Route("/arch/curve", curve, methods=["POST"]),
]
