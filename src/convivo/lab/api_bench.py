"""View 1, the convolution bench: the page's numbers held against the layers of convivo."""

from math import prod

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from convivo.geometry import Sides
from convivo.lab import answers, parameters
from convivo.lab.answers import Refusal
from convivo.lab.engine_bench import Wish, carry_out
from convivo.lab.kernels_bench import KERNELS, LEAST_DIMS, made, offered
from convivo.lab.parameters import Parameters
from convivo.layers.padding import PADDING_MODES

OPS = ("conv", "pool", "unpool", "transposed")
KINDS = ("none", "max", "avg", "nearest", "bed_of_nails")
MOST_VALUES, MOST_TAPS, MOST_OUT = 2**20, 2**11, 2**22
LARGEST = 3.4e38


async def kernels(request: Request) -> Response:
    """What can be chosen in ?dims= dimensions."""
    dims = request.query_params.get("dims", "")
    if dims not in ("1", "2", "3"):
        raise parameters.wrong("dims", "1, 2 or 3", dims)
    return answers.document({"kernels": offered(int(dims))})


async def kernel(request: Request) -> Response:
    """One of them, as an array."""
    asked = await parameters.body(request)
    name = asked.choice("name", tuple(KERNELS))
    dims = asked.integer("dims", LEAST_DIMS.get(name, 1), 3)
    size, seed = asked.integer("size", 1, 9, 3), asked.integer("seed", 0, 2**31, 0)
    asked.done()
    return answers.array(await run_in_threadpool(made, name, dims, size, seed))


async def forward(request: Request) -> Response:
    """The operation, done by the layer; its words and milliseconds in the headers."""
    lab, asked = request.app.state.lab, await parameters.body(request)
    name = asked.text("array", 24)
    wish = read_wish(asked, lab.store.card(name)["shape"])
    asked.done()
    found = await lab.compute(carry_out, lab.store.path(name), wish)
    answer = answers.array(found.values)
    answer.headers["X-Layer"] = found.layer
    answer.headers["X-Engine-Ms"] = f"{found.milliseconds:.1f}"
    return answer


def read_wish(asked: Parameters, shape: list[int]) -> Wish:
    """What is asked of an array (C, *S), every number within its bounds."""
    dims = len(shape) - 1
    size = tuple(shape[1:])
    first = asked.integers("first", dims, 0, max(size))
    end = asked.integers("end", dims, 1, max(size))
    if not all(a < b <= n for a, b, n in zip(first, end, size, strict=True)):
        raise parameters.wrong("end", f"behind first, within {size}", list(end))
    taps = asked.integers("kernel", dims, 1, 64)
    padding = asked.inner("padding")
    sides = _sides(padding, dims)
    mode = padding.choice("mode", PADDING_MODES, "zeros")
    padding.done()
    wish = Wish(
        op=asked.choice("op", OPS),
        channel=asked.integer("channel", 0, shape[0] - 1, 0),
        region=tuple(zip(first, end, strict=True)),
        kernel=taps,
        weights=_weights(asked, taps),
        bias=asked.number("bias", -LARGEST, LARGEST, 0.0),
        flip=asked.flag("flip", False),
        stride=asked.integers("stride", dims, 1, 64),
        dilation=asked.integers("dilation", dims, 1, 64),
        padding=sides,
        mode=mode,
        kind=asked.choice("kind", KINDS, "none"),
        count_padding=asked.flag("count_padding", True),
        extra=asked.integers("extra", dims, 0, 63) if asked.has("extra") else (0,) * dims,
        middle=asked.choice("middle", ("same", "count"), "same"),
        places=asked.flag("places", False),
    )
    _check_sizes(wish)
    return wish


def _weights(asked: Parameters, taps: tuple[int, ...]) -> tuple[float, ...]:
    if not asked.has("weights"):
        return (1.0,) * min(prod(taps), MOST_TAPS)
    values = asked.numbers("weights", MOST_TAPS, -LARGEST, LARGEST)
    if len(values) != prod(taps):
        raise parameters.wrong("weights", f"as many as {taps} has taps", len(values))
    return tuple(values)


def _sides(padding: Parameters, dims: int) -> Sides:
    lo, hi = padding.integers("lo", dims, 0, 64), padding.integers("hi", dims, 0, 64)
    return tuple(zip(lo, hi, strict=True))


def _check_sizes(wish: Wish) -> None:
    """Refuse what would take the engine minutes, before it starts."""
    read = prod(b - a for a, b in wish.region)
    wide = prod(b - a + sum(p) for (a, b), p in zip(wish.region, wish.padding, strict=True))
    grown = prod(
        (b - a) * max(s, k if wish.op == "unpool" else 1) + k * d
        for (a, b), s, k, d in zip(
            wish.region, wish.stride, wish.kernel, wish.dilation, strict=True
        )
    )
    up = wish.op in ("transposed", "unpool")
    if read > MOST_VALUES or wide > MOST_OUT or (up and grown > MOST_OUT):
        hint = "Choose a smaller region, stride or window"
        raise Refusal(413, "too-large", f"at most {MOST_VALUES} values at once", hint)


routes = [
    Route("/bench/kernels", kernels),
    Route("/bench/kernel", kernel, methods=["POST"]),
    Route("/bench/forward", forward, methods=["POST"]),
]
