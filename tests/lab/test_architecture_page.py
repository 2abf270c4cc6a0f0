"""The architecture view as a person meets it: boxes, keys, sizes, links, files, lessons."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from convivo.architectures import ARCHITECTURES
from convivo.lab.architecture_costs import Question, planned
from convivo.lab.architecture_sizes import legal_sizes
from convivo.verbs.plan import plan

from .pages import Page, assert_alike, opened
from .running import Running

SETTLED = ".arch[data-settled=true]"
PLANNED = ".arch[data-planned=true]"
KINDS = ("parameters", "outputs", "gradients", "losses", "optimizer", "operations")


@pytest.fixture(scope="module")
def page(lab: Running, browser: Any) -> Iterator[Page]:
    with opened(browser, lab, "view=arch&net=lenet5") as found:
        yield found


def show(page: Page, state: str, net: str, *, what: str = "planned") -> None:
    """A state of the view, when its plan has come; `what="settled"`: and its whole curve."""
    page.go(f"view=arch&{state}")
    page.wait_for(f'.arch[data-{what}="true"][data-net="{net}"]', seconds=60)
    page.settle()


def exact(page: Page) -> dict[str, int]:
    """The memory table: name -> bytes."""
    rows = page.read(
        "() => [...document.querySelectorAll('[data-table=memory] tr')]"
        ".map(r => [r.cells[0].textContent, r.querySelector('.exact').textContent])"
    )
    return {name: int(text.replace(",", "")) for name, text in rows}


def saved(page: Page, button: str) -> str:
    with page.page.expect_download() as download:
        page.page.click(f".downloads >> text={button}")
    path = download.value.path()
    return path.read_text(encoding="utf-8")


def test_lenet_is_drawn_with_its_sums(page: Page) -> None:
    show(page, "net=lenet5&pin=3", "lenet5")
    inspector = page.text("#inspector")
    assert "5 × 5 × 6 × 16 + 16 = 2,416" in inspector
    assert "10 × 10 × 5 × 5 × 6 × 16 = 240,000" in inspector
    assert "1 × 16 × 10 × 10 × 4 = 6,400" in inspector
    assert "61,706" in page.text(".arch-tiles")
    assert page.read("() => document.querySelectorAll('.network .box').length") == 7


def test_the_memory_on_the_page_is_the_plans(page: Page) -> None:
    show(page, "net=unet&dims=3&size=32,32,32&batch=2&optimizer=adamw", "unet")
    truth = planned(
        Question(net="unet", channels=1, size=(32, 32, 32), classes=2, batch=2, optimizer="adamw")
    )["memory"]
    seen = exact(page)
    assert {kind: seen[kind] for kind in KINDS} == {kind: truth[kind] for kind in KINDS}
    assert seen["tensors at the peak"] == truth["tensors_peak"]
    assert seen["process, at most"] == truth["process_bound"]


def test_a_unet_is_drawn_as_a_u(page: Page) -> None:
    show(page, "net=unet_2015", "unet_2015")
    assert page.read("() => document.querySelectorAll('.edge.across').length") == 4
    heights = page.read(
        "() => [...document.querySelectorAll('.network .body')]"
        ".map(b => Number(b.getAttribute('y')) + Number(b.getAttribute('height')) / 2)"
    )
    lowest = heights.index(max(heights))
    assert heights[:lowest] == sorted(heights[:lowest])
    assert heights[lowest:] == sorted(heights[lowest:], reverse=True)
    assert 8 < lowest < len(heights) - 8


def test_keyboard_alone_walks_through_the_network(page: Page) -> None:
    show(page, "net=unet_2015", "unet_2015")
    page.read("() => document.activeElement.blur()")
    page.press("ArrowRight")
    page.settle()
    first = "encoder.0.0 Conv 3x3: shape 64 by 570 by 570, 640 parameters, 83,174,400 bytes kept"
    assert first in page.text("#live")
    page.press(*["ArrowRight"] * 13)
    page.settle()
    assert "encoder.4.2 Conv 3x3: shape 1024 by 28 by 28" in page.text("#live")
    assert "receptive field 140 by 140, jump 16 by 16" in page.text("#live")
    page.press("Escape", "End")
    page.settle()
    assert page.text("#live").startswith("optimizer")
    assert "live" in page.text("#live")
    page.press("+")
    page.wait_for(f"{PLANNED} .field.size:has-text('588 × 588')", seconds=60)
    page.page.focus(".field.size input")
    page.press("ArrowLeft", "ArrowLeft")
    page.wait_for(f"{PLANNED} .field.size:has-text('556 × 556')", seconds=60)


def test_a_size_is_looked_up_before_its_plan_comes(page: Page) -> None:
    show(page, "net=dcgan", "dcgan", what="settled")
    page.page.route("**/arch/plan", lambda route: route.abort())
    before = exact(page)
    page.page.focus(".field.size input")
    page.press("ArrowRight")
    page.settle()
    size = page.text(".field.size output").split(" × ")[0]
    page.page.unroute("**/arch/plan")
    asked = Question(net="dcgan", channels=3, size=(int(size),) * 2, classes=2)
    truth = planned(asked)["memory"]
    assert exact(page)["process, at most"] == truth["process_bound"]
    assert exact(page)["outputs"] > before["outputs"]


@pytest.mark.slow
def test_the_largest_that_fits_does_and_the_next_does_not(page: Page) -> None:
    show(page, "net=unet&dims=3", "unet", what="settled")
    words = page.text(".fits")
    assert words.startswith("Largest that fits this machine: ")
    size = int(words.partition(": ")[2].partition(" ")[0])
    room = json.loads(page.lab.get("arch")[1])["machine"]["limit"]

    def asked(n: int) -> Question:
        return Question(net="unet", channels=1, size=(n,) * 3, classes=2)

    stops = legal_sizes(asked(64))["sizes"]
    after = stops[stops.index(size) + 1 :][:1]
    assert after, "sizes that fit no machine are among those traced"
    assert planned(asked(size))["memory"]["process_bound"] <= room
    assert all(planned(asked(n))["memory"]["process_bound"] > room for n in after)


def test_csv_and_svg(page: Page) -> None:
    show(page, "net=resnet18&batch=2", "resnet18")
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
    truth = planned(Question(net="resnet18", channels=3, size=(224, 224), classes=1000, batch=2))
    assert sum(int(row["parameters"] or 0) for row in rows) == 11_689_512
    for kind in KINDS:
        total = sum(int(row[f"peak_{kind}"] or 0) for row in rows)
        assert total == truth["memory"][kind]
    drawing = ElementTree.fromstring(saved(page, "SVG"))
    boxes = page.read("() => document.querySelectorAll('.network .box').length")
    space = "{http://www.w3.org/2000/svg}"
    assert len([n for n in drawing.iter(f"{space}g") if "data-box" in n.attrib]) == boxes
    assert drawing.find(f".//{space}path").attrib["stroke"] not in ("", "none")


def test_the_lectures_sums_are_convivos_own(page: Page) -> None:
    show(page, "net=lenet5", "lenet5")
    page.page.click(".lectures summary")
    for text in ("160,168,004 bytes", "14,484,929,220 bytes", "3,621,192,305"):
        assert text in page.text(".lectures")
    assert "10 × 40,000 + 10 = 400,010" in page.text(".lectures")
    assert "10 × 5 × 5 × 1 + 10 = 260" in page.text(".lectures")
    page.page.click(".lecture:has-text('160 MB') >> text=Show it here")
    page.wait_for('.arch[data-planned="true"][data-net="mlp"]', seconds=60)
    settings = ["net.hidden=[1000]"]
    truth = plan(net="mlp", input=(1, 200, 200), classes=1, settings=settings, count="lecture")
    assert truth.document()["lecture"]["bytes"] == 160_168_004
    assert f"{truth.document()['parameters']:,}" in page.text(".arch-tiles")


@pytest.mark.slow
def test_reload_of_the_link_draws_the_same_picture(lab: Running, browser: Any) -> None:
    state = "view=arch&net=dcgan&size=32,32&batch=4&pin=3&st=20"
    with opened(browser, lab, state) as page:
        page.wait_for(SETTLED, seconds=60)
        page.settle()
        played = page.picture()
        page.press("Home")
        page.scrub(20)
        page.settle()
        assert_alike(page.picture(), played)
        page.page.wait_for_timeout(300)  # the link follows a moment later
        page.reload()
        page.wait_for(SETTLED, seconds=60)
        page.settle()
        assert_alike(page.picture(), played)


def test_an_impossible_size_is_said_with_what_to_do(lab: Running, browser: Any) -> None:
    with opened(browser, lab, "view=arch&net=unet&size=65,64") as page:
        page.wait_for(".arch .error:not(:empty)", seconds=60)
        assert "multiple" in page.text(".arch .error")
        assert "72" in page.text(".arch .error")
        # the browser tells of every refused request; here that is what was asked for
        assert all("422" in trouble for trouble in page.troubles)
        page.troubles.clear()


@pytest.mark.slow
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_every_network_is_drawn_with_all_its_parameters(page: Page, dims: int) -> None:
    for name in ARCHITECTURES:
        show(page, f"net={name}&dims={dims}&mode=infer", name)
        rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"))))
        total = sum(int(row["parameters"] or 0) for row in rows)
        assert f"{total:,}" in page.text(".arch-tiles"), name
        assert page.read("() => document.querySelectorAll('.network .box').length") > 1
