"""The page as a person meets it: links, keys, what is read out, and that nothing leaves it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .running import Running
from .watched import READY, Watched

LECTURE = "#d=sample:lecture&n=5&pad=zeros&lo=1&hi=1&s=2&k=3x3:2,0,1,1,0,0,0,1,1"


def outputs(tab: Watched) -> list[list[str]]:
    """The table of outputs."""
    return tab.page.evaluate(
        "() => [...document.querySelectorAll('#outputs tbody tr')]"
        ".map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    )


def test_the_lectures_figure(tab: Watched) -> None:
    tab.show(LECTURE + "&tab=1&st=4")
    assert outputs(tab) == [["1", "5", "6"], ["7", "8", "3"], ["3", "10", "4"]]
    assert tab.text("#inspector .big") == "8"
    assert "max|Δ| = 0 ·" in tab.text("#note")
    assert "Conv(1, 1, (3, 3), stride=(2, 2)" in tab.text("#note")


def picture(tab: Watched) -> tuple[list[str], np.ndarray]:
    """What is shown: every canvas to the bit and all text, and the window as the eye sees it."""
    tab.settle()
    # milliseconds, which may be told anew at any moment
    tab.page.evaluate("document.querySelector('#note').style.visibility = 'hidden'")
    parts = tab.page.evaluate(
        "() => [...[...document.querySelectorAll('canvas')].filter(c => c.offsetParent)"
        ".map(c => c.toDataURL()), document.body.innerText]"
    )
    shot = tab.page.screenshot(animations="disabled", caret="hide")
    return parts, np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def assert_same(one: tuple[list[str], np.ndarray], other: tuple[list[str], np.ndarray]) -> None:
    assert len(one[0]) > 4
    assert one[0] == other[0]
    # a browser does not draw rounded corners of its own controls twice alike to the last level
    assert np.abs(one[1] - other[1]).max() <= 2


LINKS = [
    LECTURE + "&build=1",
    "#d=sample:cells&op=pool&n=9&pool=avg&build=1",
    "#d=sample:lecture&op=transposed&n=3&s=2&pad=none&build=1",
    "#d=sample:steps&n=16&k=3:1,2,-1&build=1",
    "#d=sample:cube&n=4,6,6&op=unpool&up=max&build=1",
]


@pytest.mark.parametrize("link", LINKS)
def test_played_scrubbed_and_reloaded_it_is_the_same_picture(tab: Watched, link: str) -> None:
    tab.show(link)
    tab.press("Home")
    for _ in range(4):
        tab.press(".")
    played = picture(tab)
    tab.press("Home")
    tab.settle()
    tab.page.fill("#transport input[type=range]", "4")
    tab.page.evaluate("document.activeElement.blur()")
    scrubbed = picture(tab)
    tab.page.wait_for_url("**st=4**")
    address = tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(address)
    tab.wait()
    assert_same(played, scrubbed)
    assert_same(scrubbed, picture(tab))


def test_playing_goes_on_by_itself_and_stops_at_the_end(tab: Watched) -> None:
    tab.show(LECTURE + "&st=0")
    tab.page.select_option("#transport select", "8")
    tab.page.evaluate("document.activeElement.blur()")
    tab.press(" ")
    tab.page.wait_for_selector("#transport .count:text('step 9 / 9')")
    tab.page.wait_for_selector("#transport button[aria-label='Play (Space)']")


def test_the_keyboard_alone_goes_everywhere(tab: Watched) -> None:
    tab.show(LECTURE + "&st=0")
    assert "output[0, 0], 9 products, value 1" in tab.text("#live")
    tab.press("ArrowRight", "ArrowDown")
    tab.settle()
    assert tab.text("#live") == "output[1, 1], 9 products, value 8"
    tab.press("End")
    tab.settle()
    assert tab.text("#live") == "output[2, 2], 9 products, value 4"
    tab.press("Shift+ArrowUp")
    tab.settle()
    assert tab.text("#live").startswith("output[0, 2]")
    tab.press("f")
    tab.page.wait_for_selector("label:has-text('turn the kernel') input:checked")
    tab.press("f", "-")
    assert tab.page.locator("dialog[open]").count() == 0
    tab.press("?")
    assert tab.page.locator("dialog[open] h2").text_content() == "Keys"
    tab.press("Escape")
    tab.page.wait_for_selector("dialog[open]", state="detached")
    tab.press("d")
    tab.page.wait_for_selector("dialog[open] .card")
    assert tab.page.locator("dialog[open] h2").text_content() == "Data"
    tab.press("Escape")
    tab.page.wait_for_selector("dialog[open]", state="detached")


def test_a_key_right_after_a_dialog_closed_is_not_lost(tab: Watched) -> None:
    tab.show(LECTURE)
    tab.press("?")
    tab.page.wait_for_selector("dialog[open]")
    held = tab.page.evaluate(
        "() => { const open = document.querySelector('dialog[open]'); open.close();"
        " const at = document.activeElement;"
        " const d = new KeyboardEvent('keydown', {key: 'd', bubbles: true, cancelable: true});"
        " at.dispatchEvent(d); return open.contains(at); }"
    )
    assert held, "the closed dialog must still hold the focus here, or this test shows nothing"
    tab.page.wait_for_selector("dialog[open] .card")
    assert tab.page.locator("dialog[open] h2").text_content() == "Data"


def test_every_control_is_reached_by_tab_and_keeps_the_focus_when_used(tab: Watched) -> None:
    tab.show(LECTURE)
    reached = []
    for _ in range(80):
        tab.press("Tab")
        name = tab.page.evaluate(
            "() => { const e = document.activeElement; return e.getAttribute('aria-label')"
            " ?? e.labels?.[0]?.textContent ?? e.textContent; }"
        )
        if name == "stride, row" and name not in reached:
            tab.press("ArrowUp")
            tab.settle()
            value = tab.page.evaluate("document.activeElement.value")
            assert value == "3", "the control that was used has the focus still"
        reached.append(name)
    for wanted in ("Data…", "Pooling", "padding before, col", "weight 5", "Step", "Speed"):
        assert any(wanted in name for name in reached), (wanted, reached)
    assert any("Arithmetic" in name for name in reached)


def test_typing_a_weight_and_choosing_a_kernel(tab: Watched) -> None:
    tab.show(LECTURE + "&st=4&all=1")
    tab.page.fill("input.weight >> nth=5", "-2,5")
    tab.press("Enter")
    tab.page.wait_for_url("**k=3x3:2,0,1,1,0,-2.5,0,1,1**")
    assert tab.text("#inspector .big") == "5.5"  # 8 - 2.5 * 1
    tab.page.wait_for_selector(".kernel option[value=box]", state="attached")
    tab.page.select_option(".kernel select", "box")
    tab.page.wait_for_selector("input.weight >> nth=8")
    tab.page.wait_for_url("**k=3x3:0.11111111,**")
    assert "Σw = 1 " in tab.text(".kernel .facts")
    assert "rank 1: 3 + 3 products" in tab.text(".kernel .facts")


def test_a_kernel_is_pasted_from_a_spreadsheet_and_dragged(tab: Watched) -> None:
    tab.show(LECTURE)
    tab.page.evaluate(
        "() => { const data = new DataTransfer(); data.setData('text', '1\\t2\\n3\\t4\\n5\\t6');"
        "document.querySelector('input.weight').dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: data, bubbles: true})); }"
    )
    tab.page.wait_for_url("**k=3x2:1,2,3,4,5,6**")
    box = tab.page.locator("input.weight").nth(3).bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.mouse.move(*middle)
    tab.page.mouse.down()
    tab.page.mouse.move(middle[0], middle[1] - 31, steps=4)
    tab.page.mouse.up()
    tab.page.wait_for_url("**k=3x2:1,2,3,4.5,5,6**")


def test_holes_are_no_zeros(tab: Watched, lab: Running) -> None:
    values = np.arange(25.0).reshape(5, 5)
    values[2, 2] = np.nan
    card = lab.put_array(values)
    tab.show(f"#d=id:{card['id']}&n=5&pad=none&k=1x1:1&tab=1")
    assert outputs(tab)[2] == ["10", "11", "NaN", "13", "14"]
    assert tab.page.evaluate("document.documentElement.dataset.checked") == "good"


def test_wrong_sizes_say_what_to_do(tab: Watched) -> None:
    tab.show("#d=sample:lecture&n=2&pad=none&k=3x3:1,1,1,1,1,1,1,1,1")
    text = tab.text("#stage p[role=alert]")
    assert text.startswith("the kernel reaches over 3 samples, the padded input has 2")
    assert "raise padding" in text
    tab.page.locator("select.wide").select_option("zeros")
    tab.page.wait_for_selector("#inspector table.sum tr[data-row]")


def test_pointing_lights_all_panels_at_once(tab: Watched) -> None:
    tab.show(LECTURE + "&st=0")
    box = tab.page.locator(".role-output .grid").bounding_box()
    cell = box["width"] / 3
    tab.page.mouse.move(box["x"] + 1.5 * cell, box["y"] + 1.5 * cell)
    tab.settle()
    assert tab.text("#inspector h2") == "out[1, 1]"
    assert tab.text("#transport .count") == "step 1 / 9", "pointing is no pinning"
    tab.page.mouse.click(box["x"] + 1.5 * cell, box["y"] + 1.5 * cell)
    tab.settle()
    assert tab.text("#transport .count") == "step 5 / 9"


def test_what_is_copied(tab: Watched) -> None:
    tab.show(LECTURE + "&st=4")
    copied = {}
    for kind in ("py", "tex", "csv"):
        tab.page.click(f"#inspector button:text-is('{kind}')")
        tab.settle()
        copied[kind] = tab.page.evaluate("document.querySelector('#inspector').dataset.copied")
    assert copied["csv"].splitlines()[0] == "#,w at,w,in at,x,w·x,Σ"
    assert copied["csv"].splitlines()[-1] == "= out,8"
    assert copied["tex"].rstrip().endswith("= 8")
    space: dict[str, Any] = {}
    lecture = np.array([[2, 2, 3, 3, 3], [0, 1, 3, 0, 3], [2, 3, 0, 1, 3], [3, 3, 2, 1, 2],
                        [3, 3, 0, 2, 3]], dtype=np.float32)  # fmt: skip
    import torch

    code = copied["py"].replace(
        "layer = ", f"x = torch.tensor({lecture.tolist()})[None, None]\nlayer = "
    )
    exec(code, {"torch": torch}, space)
    assert space["out"].flatten().tolist() == [1, 5, 6, 7, 8, 3, 3, 10, 4]


def test_a_lesson_is_guessed_then_revealed(tab: Watched) -> None:
    tab.show()
    tab.press("l")
    tab.page.wait_for_selector(".lesson .choices button")
    assert tab.page.locator(".lesson .reveal").count() == 0
    tab.page.click(".lesson .choices button >> nth=1")
    tab.page.wait_for_selector(".lesson .reveal:has-text('Not quite')")
    assert tab.page.locator(".lesson .right").count() == 1
    tab.page.wait_for_selector(".role-error:not([hidden]) .grid")
    while tab.page.locator(".lesson button:text-is('Next'):enabled").count():
        tab.page.click(".lesson button:text-is('Next')")
        tab.page.wait_for_selector(".lesson .choices button:enabled")
        tab.page.click(".lesson .choices button >> nth=0")
        tab.page.wait_for_selector(".lesson .reveal")
    tab.press("Escape")
    assert not tab.page.is_visible(".lesson")


def test_softmax_adds_up_to_one_and_does_not_overflow(tab: Watched) -> None:
    tab.show("#z=50,50,-50")
    tab.page.click("summary")
    rows = tab.page.locator("#scores tbody tr").all_inner_texts()
    assert [row.split()[-2] for row in rows[:2]] == ["0.5000", "0.5000"]
    assert rows[-1].split()[:3] == ["Σ", "2", "1"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_by_axe(browser: Any, lab: Running, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # the rules are put into the page by the test, past the policy that the lab itself keeps
    tab = Watched(browser, lab, color_scheme=scheme, bypass_csp=True)
    links = (LECTURE + "&tab=1", "#d=sample:cube&op=transposed&s=2")
    for link in links[: 2 if scheme == "light" else 1]:
        tab.show(link)
        found = axe.Axe().run(tab.page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        told = [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in serious]
        assert told == []
    tab.close()


@pytest.mark.slow
def test_ten_tabs_at_once(tab: Watched, lab: Running) -> None:
    pages = [tab.tab() for _ in range(10)]
    samples = ["ecg", "eeg", "cells", "slice", "volume", "lecture", "impulse", "corner", "steps"]
    for page, sample in zip(pages, [*samples, "cube"], strict=True):
        page.goto(f"{lab.origin}/#d=sample:{sample}", wait_until="commit")
    for page in pages:
        page.wait_for_selector("html[data-checked=good]", state="attached")
        page.close()


def test_a_browser_that_did_not_use_the_link_is_told(browser: Any, lab: Running) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(lab.origin)
    assert "for one use" in (page.text_content("body") or "")
    page.goto(f"{lab.origin}/?token={lab.keys.token()}")
    page.wait_for_selector(READY, state="attached")
    assert "token" not in page.url
    context.close()


def test_the_slices_of_a_volume_have_a_slider(tab: Watched) -> None:
    tab.show("#d=sample:cube&n=5,6,7&pad=none&st=50&k=1x1x1:2")
    assert tab.text("#inspector h2") == "out[1, 1, 1]"
    tab.page.fill("input[aria-label=Slice]", "3")
    tab.settle()
    assert tab.text("#inspector h2") == "out[3, 1, 1]"
    tab.page.evaluate("document.activeElement.blur()")
    tab.press("PageUp")
    tab.settle()
    assert tab.text("#inspector h2") == "out[2, 1, 1]"
    assert tab.page.input_value("input[aria-label=Slice]") == "2"
    tab.show("#d=sample:cells")
    assert not tab.page.is_visible("input[aria-label=Slice]")


def test_of_a_large_image_only_the_region_is_fetched(tab: Watched, lab: Running) -> None:
    values = np.random.default_rng(3).integers(0, 256, size=(1025, 1024), dtype=np.uint8)
    card = lab.put_array(values)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.show(f"#d=id:{card['id']}&at=1000,900&n=6&pad=none&k=1x1:1&tab=1")
    assert outputs(tab) == values[1000:1006, 900:906].astype(str).tolist()
    tab.page.wait_for_selector("canvas.minimap[style*=width]")
    arrays = [url.partition("?")[2] for url in asked if ".npy" in url]
    assert sorted(arrays) == ["channel=0&region=1000:1006,900:906", "channel=0&step=6"]
    tab.page.fill("input[aria-label='region begins, row']", "5")
    tab.press("Enter")
    tab.page.wait_for_url("**at=5,900**")
    tab.wait()
    assert outputs(tab) == values[5:11, 900:906].astype(str).tolist()


def reveal(tab: Watched, lesson: int) -> list[list[float]]:
    """Guess in a lesson of the bench, and read the outputs that it then shows."""
    tab.show()
    tab.press("l")
    while not tab.text(".lesson .head").startswith(f"Lesson {lesson} "):
        back = int(tab.text(".lesson .head").split()[1]) > lesson
        tab.page.click(f".lesson button:text-is('{'Back' if back else 'Next'}')")
    tab.page.wait_for_selector(".lesson .choices button:enabled")
    tab.page.click(".lesson .choices button >> nth=0")
    tab.page.wait_for_selector(".lesson .reveal")
    tab.press("Escape")
    tab.page.click("#inspector button:text-is('as table')")
    tab.page.wait_for_selector("#outputs")
    return [[float(text.replace("−", "-")) for text in row] for row in outputs(tab)]


def test_what_the_lessons_of_the_bench_say_is_so(tab: Watched) -> None:
    moved = np.array(reveal(tab, 1))
    assert np.argwhere(moved).tolist() == [[4, 4]]  # from the middle, 3, 3: down and right
    assert tab.page.is_visible(".role-error")  # the difference to the true convolution
    assert len(reveal(tab, 2)[0]) == 64
    assert reveal(tab, 3) == [[2, 3], [3, 2]]
    seen = np.array(reveal(tab, 4))[1:6, 1:6]
    ones = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])  # a mean of three twice
    assert np.array_equal(seen, ones)
    back = np.array(reveal(tab, 5))
    assert back.shape == (4, 4)
    assert np.count_nonzero(back) <= 4
    assert np.array(reveal(tab, 6)).shape == (5, 5)


def test_the_theme_is_turned_over_and_kept(tab: Watched) -> None:
    tab.show()
    paper = "getComputedStyle(document.body).backgroundColor"
    before = tab.page.evaluate(paper)
    tab.press("t")
    assert tab.page.evaluate(paper) != before
    tab.page.reload()
    tab.wait()
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.press("t")
    assert tab.page.evaluate(paper) == before


def test_a_weight_pointed_at_lights_its_row_and_a_row_its_weight(tab: Watched) -> None:
    tab.show(LECTURE + "&st=4")
    tab.page.hover("input.weight >> nth=5")
    tab.page.wait_for_selector("#inspector tr.lit")
    assert tab.page.locator("#inspector tr.lit td").first.text_content() == "6"
    tab.page.hover("#inspector tr[data-row='2']")
    tab.page.wait_for_selector("input.weight.lit")
    lit = "() => [...document.querySelectorAll('input.weight')].findIndex(w => w.matches('.lit'))"
    assert tab.page.evaluate(lit) == 2
    assert tab.page.locator("#inspector tr.lit").count() == 0
