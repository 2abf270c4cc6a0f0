"""The numbers that stand on the page: the layers', NumPy's, and such that add up."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from .cases import SHAPES, draw, link
from .reference import engine, reference
from .running import Running
from .watched import Watched

READ = """() => {
  const cells = row => [...row.cells].map(c => c.textContent);
  const table = document.querySelector('#inspector table.sum');
  return {
    outputs: [...document.querySelectorAll('#outputs tbody tr')].map(row => cells(row).slice(1)),
    head: [...(table.tHead?.rows[0].cells ?? [])].map(c => c.textContent),
    rows: [...table.querySelectorAll('tr[data-row]')].map(cells),
    totals: [...table.querySelectorAll('tr[data-total]')]
      .map(row => [row.dataset.total, cells(row).at(-1)]),
    title: document.querySelector('#inspector h2').textContent,
    big: document.querySelector('#inspector .big').textContent,
    note: document.querySelector('#note').textContent,
    checked: document.documentElement.dataset.checked,
    wrong: document.querySelector('#stage p[role=alert]').textContent,
  };
}"""


@pytest.fixture(scope="module")
def tab(browser: Any, lab: Running) -> Iterator[Watched]:
    opened = Watched(browser, lab)
    opened.show()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def arrays(lab: Running) -> dict[tuple[int, bool], tuple[str, np.ndarray]]:
    """Arrays to work on, by dimensions and whether they hold whole numbers: id and values."""
    rng = np.random.default_rng(8)
    found = {}
    for dims, shape in SHAPES.items():
        whole = rng.integers(-9, 10, size=shape).astype(np.float32)
        parts = rng.normal(size=shape).astype(np.float32)
        for exact, values in ((True, whole), (False, parts)):
            card = lab.put_array(values, f"{dims}-{exact}.npy")
            found[dims, exact] = card["id"], values
    return found


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def check(tab: Watched, arrays: dict, seed: int, count: int) -> None:
    """Show so many cases one after the other, and hold every number of each against both."""
    for place in range(count):
        case = draw(place, seed)
        name, values = arrays[case["dims"], case["exact"]]
        part = tuple(slice(a, a + n) for a, n in zip(case["first"], case["size"], strict=True))
        expected, bound = reference(values[part], case)
        step = int(np.random.default_rng([seed, place, 1]).integers(0, expected.size))
        tab.move(link(case, name, step))
        try:
            check_page(tab.page.evaluate(READ), case, values[part], expected, bound)
        except AssertionError as error:
            raise AssertionError(f"case {place} of seed {seed}: {case}\n{error}") from error


def check_page(
    page: dict, case: dict, x: np.ndarray, expected: np.ndarray, bound: np.ndarray
) -> None:
    assert page["wrong"] == "" or "never read" in page["wrong"]
    assert page["checked"] == "good", page["note"]
    assert page["note"].startswith("engine check ✓ max|Δ| = ")
    printed = [[number(text) for text in row] for row in page["outputs"]]
    shown = np.float32(printed).astype(np.float64).reshape(expected.shape)
    layer = engine(x, case)
    allowed = np.zeros_like(bound) if case["exact"] and case["kind"] != "avg" else bound
    assert layer.shape == expected.shape
    assert np.all(np.abs(shown - expected) <= allowed)
    assert np.all(np.abs(shown - layer) <= allowed * 2)
    check_rows(page, case, shown)


def check_rows(page: dict, case: dict, shown: np.ndarray) -> None:
    """The printed rows, added in float32 as they are printed, are the printed total."""
    head, rows = page["head"], page["rows"]
    value = number(page["big"])
    if page["title"].startswith("out"):
        at = tuple(int(i) for i in page["title"][4:-1].split(","))
        assert np.float32(value) == shown[at]
    if "w·x" in head and "Σ" in head:
        total = np.float32(0)
        for row in rows:
            w, x = (np.float32(number(row[head.index(name)])) for name in ("w", "x"))
            product = np.float32(number(row[head.index("w·x")]))
            assert product == w * x
            total = total + product
            assert np.float32(number(row[head.index("Σ")])) == total
        totals = {label: np.float32(number(text)) for label, text in page["totals"]}
        total = total + totals.get("+ bias", np.float32(0))
        assert totals["= out"] == total == np.float32(value)
    if case["op"] == "pool" and case["kind"] == "avg":
        total = sum((np.float32(number(row[2])) for row in rows), np.float32(0))
        count = number(dict(page["totals"])["÷ samples"])
        assert np.float32(value) == np.float32(float(total) / count)


def test_numbers_of_some_random_operations(tab: Watched, arrays: dict) -> None:
    check(tab, arrays, seed=1, count=28)


@pytest.mark.slow
def test_numbers_of_three_hundred_random_operations(tab: Watched, arrays: dict) -> None:
    check(tab, arrays, seed=2, count=300)


def test_a_wrong_number_would_be_told(tab: Watched, arrays: dict, lab: Running) -> None:
    """The check on the page is no decoration: with another array behind the id it fails."""
    values = np.arange(1.0, 26.0).reshape(5, 5)
    card, other = lab.put_array(values), lab.put_array(values + 1)
    tab.page.route("**/arrays/" + card["id"] + ".npy*", lambda route: route.continue_(
        url=route.request.url.replace(card["id"], other["id"])))  # fmt: skip
    tab.move(f"#d=id:{card['id']}&n=5&pad=zeros")
    tab.page.unroute("**/arrays/" + card["id"] + ".npy*")
    assert tab.page.evaluate("document.documentElement.dataset.checked") == "bad"
    assert "✗" in tab.text("#note")
