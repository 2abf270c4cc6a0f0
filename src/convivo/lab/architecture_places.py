"""Where in the drawing of a network the entries of its ledger belong.

The ledger knows modules by name; a drawing has calls, some of functions, several of one module.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

from convivo.lab.architecture_graph import Node
from convivo.planning.events import Holding
from convivo.planning.ledger import Ledger


def rows(held: Ledger, nodes: Sequence[Node], root: str) -> list[dict[str, Any]]:
    """What lives at the peak, by layer: `name`, `bytes` by kind, `formulas`, `node` (`homes`).

    The entry without a name is the whole network's: the optimizer's state, sums of branches.
    """
    found = [vars(r) | {"name": "" if r.name == root else r.name} for r in held.layers]
    place = homes([row["name"] for row in found], nodes)
    return [row | {"node": place[row["name"]] if row["name"] else None} for row in found]


def homes(names: Iterable[str], nodes: Sequence[Node]) -> dict[str, int | None]:
    """The node at which the ledger's entry of a name is shown: its own, else one around or in it.

    None where there is none such: the loss, for example.
    """
    first: dict[str, int] = {}
    for node in nodes:
        first.setdefault(node["name"], node["id"])
    found: dict[str, int | None] = {}
    for name in names:
        near = (
            n
            for n in first
            if n and name and (name.startswith(f"{n}.") or n.startswith(f"{name}."))
        )
        found[name] = first.get(name, first.get(next(near, ""))) if name else first.get("")
    return found


def keep(held: Ledger, nodes: Sequence[Node], root: str) -> None:
    """Give each node the bytes `kept` of its answer for the backward pass or the next layers.

    Calls of one module, and functions of one, share a name in the ledger: each of them takes the
    tensor of its shape, in order, and the last one what is left.
    """
    left: dict[str, list[Holding]] = {node["name"]: [] for node in nodes}
    names = {name: "" if name == root else name for name in held.outputs}
    place = homes(names.values(), nodes)
    for name, holdings in held.outputs.items():
        number = place[names[name]]
        if number is not None:
            left[nodes[number]["name"]] += holdings
    last = {node["name"]: node["id"] for node in nodes}
    for node in nodes:
        own = left[node["name"]]
        if last[node["name"]] == node["id"]:
            taken = list(own)
        else:
            taken = [h for h in own if prod(h.shape[1:]) == prod(node["shape"])][:1]
        left[node["name"]] = [h for h in own if h not in taken]
        node["kept"] = sum(h.bytes for h in taken)
        node["kept_sums"] = _sums(taken)


def _sums(holdings: Sequence[Holding]) -> list[str]:
    return [h.formula for h in sorted(holdings, key=lambda h: -h.bytes)]
