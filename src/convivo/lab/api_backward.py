"""View 2, the backward pass: the page's gradients held against torch's, layer by layer."""

import time
from math import prod
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from convivo.lab import answers, parameters
from convivo.lab.parameters import Parameters

PADDINGS = ("zeros", "reflect", "symmetric", "replicate", "circular")
OPERATIONS = {
    "conv": ("",),
    "pool": ("max", "avg"),
    "unpool": ("max", "nearest", "bed_of_nails"),
    "relu": ("",),
}
MOST_SAMPLES, MOST_AXIS, MOST_KERNEL, MOST_STEP = 4096, 256, 9, 16
LIMIT = 1e30  # beyond it sums of float32 overflow


async def backward(request: Request) -> Response:
    """Gradients of one small layer: see `backward_engine.backward` for what comes back."""
    fields = _case(await parameters.body(request))
    began = time.perf_counter()
    values = await request.app.state.lab.compute(compute, fields)
    answer = answers.array(values)
    answer.headers["X-Engine-Ms"] = f"{1000 * (time.perf_counter() - began):.1f}"
    return answer


def compute(fields: dict[str, Any]) -> Any:
    """In the worker."""
    from convivo.lab.backward_engine import Case, backward

    return backward(Case(**fields))


def _case(asked: Parameters) -> dict[str, Any]:
    dims = asked.integer("dims", 1, 3)
    op = asked.choice("op", tuple(OPERATIONS))
    size = _sizes(asked, "size", dims, MOST_AXIS)
    fine = _sizes(asked, "fine", dims, MOST_AXIS) if op == "unpool" else size
    kernel = _sizes(asked, "kernel", dims, MOST_KERNEL)
    pad = asked.inner("pad")
    sides = (pad.integers(name, dims, 0, MOST_STEP) for name in ("lo", "hi"))
    case = {
        "op": op,
        "kind": asked.choice("kind", OPERATIONS[op]),
        "size": size,
        "fine": fine,
        "kernel": kernel,
        "stride": _sizes(asked, "stride", dims, MOST_STEP),
        "dilation": _sizes(asked, "dilation", dims, MOST_STEP),
        "padding": tuple(zip(*sides, strict=True)),
        "mode": pad.choice("mode", PADDINGS),
        "flip": asked.flag("flip"),
        "counted": asked.flag("counted"),
        "input": asked.numbers("input", prod(size), -LIMIT, LIMIT),
        "weight": _values(asked, "weight", prod(kernel)) if op == "conv" else [],
        "bias": asked.number("bias", -LIMIT, LIMIT),
        "grad": asked.numbers("grad", MOST_SAMPLES, -LIMIT, LIMIT),
        "before": _values(asked, "before", prod(fine)) if op == "unpool" else [],
        "check": _check(asked.inner("check")),
        **_loss(asked.inner("loss")),
    }
    pad.done()
    asked.done()
    return case


def _sizes(asked: Parameters, name: str, dims: int, most: int) -> tuple[int, ...]:
    sizes = asked.integers(name, dims, 1, most)
    if prod(sizes) > MOST_SAMPLES:
        raise parameters.wrong(name, f"at most {MOST_SAMPLES} samples", sizes)
    return sizes


def _values(asked: Parameters, name: str, count: int) -> list[float]:
    values = asked.numbers(name, count, -LIMIT, LIMIT)
    if len(values) != count:
        raise parameters.wrong(name, f"{count} numbers", len(values))
    return values


def _loss(asked: Parameters) -> dict[str, Any]:
    kind = asked.choice("kind", ("none", "mse", "bce"))
    target = [] if kind == "none" else asked.numbers("target", MOST_SAMPLES, -LIMIT, LIMIT)
    asked.done()
    return {"loss": kind, "target": target}


def _check(asked: Parameters) -> tuple[str, int, float]:
    found = (
        asked.choice("grid", ("w", "b", "x")),
        asked.integer("index", 0, MOST_SAMPLES),
        asked.number("step", 1e-9, 1.0),
    )
    asked.done()
    return found


routes = [Route("/ops/backward", backward, methods=["POST"])]
