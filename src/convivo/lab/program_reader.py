"""The graph of an exported program (`torch.export.save`), read from its JSON and nothing else.

Neither weights nor sample inputs are opened: the page sends `models/model.json` alone. Nothing in
it is executed; names of operations are looked up in `program_operations`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from convivo.errors import ReadError
from convivo.lab.program_operations import operation_of

MOST_NODES, MOST_VALUES, MOST_AXES = 4000, 2**40, 8
PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
REMEDY = "Export it anew: torch.export.save(torch.export.export(net, (example,)), 'net.pt2')"
NO_VALUE = ("as_scalar_type", "as_memory_format", "as_layout", "as_device", "as_none")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One call. name: of its result, several where it gives several. path: the module around it.

    positional, named: its arguments; a `Ref` stands for another's result.
    """

    operation: str
    results: tuple[str, ...]
    path: str
    positional: tuple[Any, ...]
    named: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Ref:
    """The result of another call, an input, a parameter or a buffer."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program. parameters, buffers: value's name -> (its name in the module, shape)."""

    nodes: tuple[Node, ...]
    input: str
    input_shape: tuple[int, ...]
    output: str
    parameters: Mapping[str, tuple[str, tuple[int, ...]]]
    buffers: Mapping[str, tuple[str, tuple[int, ...]]]


def read_program(document: Any) -> Program:
    """The program of a `model.json`.

    Raises:
        ReadError: no such document, an operation that is not known, too large.
    """
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, StopIteration) as error:
        got = f"{type(error).__name__} {error}"[:80]
        raise ReadError("program", "the graph of an exported program", got, REMEDY) from None


def _read(document: Any) -> Program:
    module = document["graph_module"]
    graph, signature = module["graph"], module["signature"]
    if len(graph["nodes"]) > MOST_NODES:
        raise _refusal(f"at most {MOST_NODES} calls", len(graph["nodes"]))
    shapes = {name: _shape(value) for name, value in graph["tensor_values"].items()}
    held: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {"parameter": {}, "buffer": {}}
    inputs = []
    for spec in signature["input_specs"]:
        ((kind, value),) = spec.items()
        name = value["arg"]["name"] if kind in held else value["arg"]["as_tensor"]["name"]
        if kind in held:
            held[kind][name] = (_path(value[f"{kind}_name"]), shapes[name])
        elif kind == "user_input":
            inputs.append(name)
        else:
            raise _refusal("parameters, buffers and one image as inputs", kind)
    if len(inputs) != 1:
        raise _refusal("one image as input", f"{len(inputs)} inputs")
    outputs = [s["user_output"]["arg"] for s in signature["output_specs"] if "user_output" in s]
    return Program(
        nodes=tuple(map(_node, graph["nodes"])),
        input=inputs[0],
        input_shape=_image(shapes[inputs[0]]),
        output=outputs[0]["as_tensor"]["name"],
        parameters=held["parameter"],
        buffers=held["buffer"],
    )


def _refusal(rule: str, got: object) -> ReadError:
    return ReadError("program", rule, got, REMEDY)


def _path(text: str) -> str:
    if not PATH.fullmatch(text) or len(text) > 200:
        raise _refusal("names of modules", repr(text[:40]))
    return text


def _shape(value: Any) -> tuple[int, ...]:
    """Sizes; of one left open, the example's."""
    sizes = tuple(_size(size) for size in value["sizes"])
    if len(sizes) > MOST_AXES or prod(sizes) > MOST_VALUES or min((1, *sizes)) < 0:
        raise _refusal(f"tensors of at most {MOST_VALUES} values", sizes)
    return sizes


def _size(size: Any) -> int:
    if "as_int" in size:
        return int(size["as_int"])
    hint = size["as_expr"].get("hint") or {}
    return int(hint.get("as_int", 1))


def _image(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not 3 <= len(shape) <= 5 or min(shape) < 1:
        raise _refusal("an input (N, C, *S) of one to three axes", shape)
    return shape


def _node(node: Any) -> Node:
    name = operation_of(node["target"])
    if name is None:
        raise _refusal("operations of convolutional networks", str(node["target"])[:80])
    arguments = [(a["name"], _argument(a["arg"]), a.get("kind", 1)) for a in node["inputs"]]
    return Node(
        operation=name,
        results=tuple(_results(node["outputs"])),
        path=_around(node.get("metadata") or {}),
        positional=tuple(value for _, value, kind in arguments if kind == 1),
        named=tuple((n, v) for n, v, kind in arguments if kind != 1 and v is not None),
    )


def _around(metadata: Any) -> str:
    """The innermost module of the stack: "L__self__a_b,a.b,torch.nn.modules.conv.Conv2d;..."."""
    last = str(metadata.get("nn_module_stack") or "").rpartition(";")[2]
    path = re.sub(r"@\d+$", "", [*last.split(","), ""][1])
    return path if PATH.fullmatch(path) else ""


def _results(outputs: Any) -> Iterator[str]:
    for output in outputs:
        ((kind, value),) = output.items()
        if kind == "as_tensors":
            yield from (str(one["name"]) for one in value)
        elif kind in ("as_tensor", "as_sym_int"):
            yield str(value.get("name", value.get("as_name")))


def _argument(argument: Any) -> Any:
    ((kind, value),) = argument.items()
    if kind in NO_VALUE:
        return None
    if kind == "as_float":
        return float(value)  # infinity stands there as a word
    if kind in ("as_int", "as_bool", "as_string"):
        return value
    if kind in ("as_ints", "as_floats", "as_bools"):
        return list(value)
    if kind == "as_tensor":
        return Ref(value["name"])
    if kind == "as_sym_int":
        return (
            _argument({"as_int": value["as_int"]}) if "as_int" in value else Ref(value["as_name"])
        )
    if kind in ("as_tensors", "as_sym_ints", "as_optional_tensors"):
        return [_one(item) for item in value]
    raise _refusal("plain arguments", kind)


def _one(item: Any) -> Any:
    if "name" in item:
        return Ref(item["name"])
    return Ref(item["as_name"]) if "as_name" in item else _argument(item)
