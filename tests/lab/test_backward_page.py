"""Every gradient number on the page is the layer's, and an independent loop's; rows add up."""

import math
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from convivo.lab.backward_engine import Case, backward

from .backward_cases import layer_of, random_case
from .backward_reference import reference
from .pages import Page, opened
from .running import Running

FAST, ALL = 25, 150
READ = """() => {
  const cells = (row) => [...row.querySelectorAll("td")].map((c) => c.textContent);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const terms = document.querySelector("#inspector table.sum").tBodies[0];
  const rows = [...terms.rows];
  const totals = rows.filter((r) => r.dataset.total);
  return {
    grids: all("table[data-grid]").map((t) =>
      [t.dataset.grid, t.dataset.size, [...t.tBodies[0].rows].map(cells)]),
    rows: rows.filter((r) => r.dataset.row !== undefined).map(cells),
    totals: Object.fromEntries(totals.map((r) => [r.dataset.total, r.lastChild.textContent])),
    check: Object.fromEntries(all("[data-check]").map((c) => [c.dataset.check, +c.dataset.v])),
    good: document.querySelector(".backward").dataset.good,
    title: document.querySelector("#inspector h2").textContent,
    error: document.querySelector(".backward .error").textContent,
  };
}"""


@pytest.fixture(scope="module")
def page(lab: Running, browser: Any) -> Iterator[Page]:
    with opened(browser, lab, "view=backward") as found:
        yield found


def value(text: str) -> float:
    return float(text.replace("−", "-"))


class Shown:
    """What the page shows of a state: grids by name, the terms of one entry."""

    def __init__(self, page: Page, state: dict[str, str]) -> None:
        page.go("&".join(f"{k}={quote(v, safe=',:')}" for k, v in state.items()))
        page.wait_for(f'.backward[data-seed="{state["seed"]}"][data-settled="true"]')
        found = page.read(READ)
        self.error, self.good, self.title = found["error"], found["good"], found["title"]
        self.rows = found["rows"]
        self.totals = {name: np.float32(value(text)) for name, text in found["totals"].items()}
        self.check = found["check"]
        self.grids, self.sizes = {}, {}
        for name, size, rows in found["grids"]:
            self.sizes[name] = [int(n) for n in size.split(",")]
            self.grids[name] = np.array([value(t) for row in rows for t in row], np.float32)


def by_the_layer(layer: dict[str, Any], shown: Shown, bias: float) -> dict[str, np.ndarray]:
    """The same numbers through convivo's own layer and torch's differentiation."""
    grids = shown.grids
    pad = layer["pad"]
    case = Case(
        op=layer["op"], kind=layer["kind"], size=tuple(layer["size"]),
        kernel=tuple(layer["kernel"]), stride=tuple(layer["stride"]),
        dilation=tuple(layer["dilation"]),
        padding=tuple(zip(pad["lo"], pad["hi"], strict=True)), mode=pad["mode"],
        flip=layer["flip"], counted=layer["counted"], input=grids["I"].tolist(),
        weight=grids["w"].tolist() if "w" in grids else [], bias=bias,
        grad=grids["g"].tolist(), before=grids["before"].tolist() if "before" in grids else [],
        fine=tuple(layer.get("fine", ())), loss="none", target=[], check=("x", 0, 1e-3),
    )  # fmt: skip
    answer = backward(case)
    lengths = [len(grids["z"])] * 2 + [len(grids["dx"]), len(grids.get("dw", ()))]
    parts = np.split(answer[3:], np.cumsum(lengths)[:-1])
    return {"z": parts[0], "dx": parts[2], "dw": parts[3], "db": answer[2:3]}


def check_case(page: Page, number: int) -> bool:
    """Whether there was something to check: a window that does not fit is said, not drawn."""
    state = random_case(number)
    shown = Shown(page, state)
    if shown.error:
        assert "larger than padded input" in shown.error
        return False
    bias = float(state.get("b", 0))
    layer = layer_of(state, shown.sizes)
    grids = {name: values.astype(np.float64) for name, values in shown.grids.items()}
    weights = grids.get("w", np.zeros(0))
    found = reference(layer, grids["I"], weights, bias, grids["g"], grids.get("before"))
    engine = by_the_layer(layer, shown, bias)
    names = ("dx", "dw", "db") if layer["op"] == "conv" else ("dx",)
    for name in names:
        truth, most = np.atleast_1d(getattr(found, name)), found.bound(name)
        for seen in (grids[name], engine[name]):
            assert np.all(np.abs(seen - truth) <= most + 1e-300), (state, name)
    assert shown.good == "true"
    check_terms(shown, layer, found)
    return True


def check_terms(shown: Shown, layer: dict[str, Any], found: Any) -> None:
    """Printed products are the printed factors', running totals the sums, the total is the last."""
    kind = {"∂L/∂w": "dw", "∂L/∂I": "dx", "∂L/∂b": "db"}[shown.title.partition("[")[0]]
    place = [int(n) for n in re.findall(r"\d+", shown.title.partition("[")[2])]
    size = {"dw": layer["kernel"], "dx": layer["size"], "db": [1]}[kind]
    index = int(np.ravel_multi_index(place, size)) if place else 0
    shared = layer["kind"] == "avg" or (layer["op"] == "unpool" and layer["kind"] == "max")
    running, exact = np.float32(0), []
    for row in shown.rows:
        texts = row[2:] if kind == "db" else [row[2], *row[4:]]
        numbers = [np.float32(value(text)) for text in texts]
        other = np.float32(1) if kind == "db" else numbers[1]
        product = np.float32(numbers[0] / other if shared else numbers[0] * other)
        assert kind == "db" or numbers[2] == product
        up, factor = float(numbers[0]), float(other)
        exact.append(up / factor if shared else up * factor)
        running = np.float32(running + product)
        assert numbers[-1] == running
    assert shown.totals["single"] == running
    assert shown.totals.get("exact", running) == np.float32(math.fsum(exact))
    truth = np.atleast_1d(getattr(found, kind))[index]
    assert abs(running - truth) <= np.atleast_1d(found.bound(kind))[index] + 1e-300


def test_random_gradients_equal_the_layer_and_a_plain_loop(page: Page) -> None:
    checked = [check_case(page, number) for number in range(FAST)]
    assert sum(checked) > 0.8 * FAST


@pytest.mark.slow
def test_many_random_gradients_equal_the_layer_and_a_plain_loop(page: Page) -> None:
    checked = [check_case(page, number) for number in range(FAST, FAST + ALL)]
    assert sum(checked) > 0.8 * ALL


def whole_numbers(number: int, **more: str) -> dict[str, str]:
    state = {"view": "backward", "seed": str(number), "all": "1", "tab": "1"}
    return state | more


def test_the_lectures_figure_and_its_gradients_are_exact(page: Page) -> None:
    shown = Shown(page, whole_numbers(9001, of="w", cell="4"))
    assert shown.grids["z"].tolist() == [1, 5, 6, 7, 8, 3, 3, 10, 4]
    assert shown.grids["dw"][4] == 19  # the samples in rows and columns 0, 2, 4
    figure = {"op": "conv", "dims": "2", "pad": "zeros", "flip": "0"}
    sides = {"lo": "1,1", "hi": "1,1", "s": "2,2"}
    layer = layer_of(whole_numbers(9001, **figure, **sides), shown.sizes)
    grids = {k: v.astype(np.float64) for k, v in shown.grids.items()}
    found = reference(layer, grids["I"], grids["w"], 0.0, grids["g"])
    assert np.array_equal(grids["dw"], found.dw)
    assert np.array_equal(grids["dx"], found.dx)
    assert grids["db"] == found.db == 9


FOLDED = {"reflect": "6", "symmetric": "0", "replicate": "0", "circular": "0"}


@pytest.mark.parametrize("mode", FOLDED)
def test_padding_folds_back_exactly(page: Page, mode: str) -> None:
    seed = 9100 + list(FOLDED).index(mode)
    more = {"op": "conv", "dims": "2", "pad": mode, "flip": "1"}
    more |= {"lo": "2,3", "hi": "1,2", "s": "1,2"}
    shown = Shown(page, whole_numbers(seed, of="x", cell=FOLDED[mode], **more))
    grids = {k: v.astype(np.float64) for k, v in shown.grids.items()}
    layer = layer_of(whole_numbers(seed, **more), shown.sizes)
    found = reference(layer, grids["I"], grids["w"], 0.0, grids["g"])
    assert np.array_equal(grids["dx"], found.dx)
    folded = [row for row in shown.rows if "↩" in row[3]]
    assert folded, "terms that came through the padding are told from the others"


def test_central_differences_agree_on_the_page_and_through_the_layer(page: Page) -> None:
    for number, g in enumerate(("mse", "bce", "random")):
        state = whole_numbers(9200 + number, g=g, of="w", cell="2", k="3x3:2,0,1,1,0,0,0,1,-1")
        check = Shown(page, state).check
        assert check["error"] < 1e-6
        assert check["layer"] == pytest.approx(check["analytic"], rel=1e-6, abs=1e-9)


def test_an_update_is_torchs_sgd_with_momentum(page: Page) -> None:
    import torch

    first = Shown(page, whole_numbers(9300, g="mse", lr="0.01", mo="0.9"))
    third = Shown(page, whole_numbers(9301, g="mse", lr="0.01", mo="0.9", t="3"))
    weight = torch.tensor(first.grids["w"].reshape(1, 1, 3, 3)).requires_grad_()
    bias = torch.zeros(1, requires_grad=True)
    image = torch.tensor(first.grids["I"].reshape(1, 1, 5, 5))
    kernel = torch.full((1, 1, 3, 3), -1 / 8)
    kernel[0, 0, 1, 1] = 1
    target = torch.nn.functional.conv2d(image, kernel, stride=2, padding=1)
    optimizer = torch.optim.SGD([weight, bias], lr=0.01, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        answer = torch.nn.functional.conv2d(image, weight, bias, stride=2, padding=1)
        torch.nn.functional.mse_loss(answer, target).backward()
        optimizer.step()
    assert third.grids["w"] == pytest.approx(weight.detach().numpy().ravel(), rel=1e-5, abs=1e-6)
