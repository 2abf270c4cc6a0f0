"""The backward view by keyboard alone, by link, by play, and what its endpoint refuses."""

import json
from typing import Any

import pytest

from .pages import Page, assert_alike, opened
from .running import Running, error_of

READY = ".backward[data-settled=true]"
FIGURE = {
    "dims": 2, "op": "conv", "kind": "", "size": [3, 3], "kernel": [2, 2], "stride": [1, 1],
    "dilation": [1, 1], "pad": {"mode": "zeros", "lo": [0, 0], "hi": [0, 0]}, "flip": False,
    "counted": True, "input": [1, 2, 3, 4, 5, 6, 7, 8, 9], "weight": [1, 0, 0, 1], "bias": 0,
    "grad": [1, 1, 1, 1], "loss": {"kind": "none"},
    "check": {"grid": "w", "index": 0, "step": 0.01},
}  # fmt: skip


def live(page: Page) -> str:
    return page.text("#live")


def steady(page: Page) -> None:
    """The engine has answered, and two frames have passed."""
    page.wait_for(READY)
    page.page.wait_for_timeout(80)


def test_keyboard_alone_walks_through_the_view(lab: Running, browser: Any) -> None:
    with opened(browser, lab, "view=conv") as page:
        page.press("2")
        steady(page)
        assert page.text("h1") == "Backward"
        assert live(page) == "output 0, 0, G 1. ∂L/∂w at 0, 0: 5, 9 terms"
        page.press("ArrowRight", "ArrowDown")
        steady(page)
        assert live(page) == "output 0, 0, G 1. ∂L/∂w at 1, 1: 19, 9 terms"
        page.press(".", ".")
        steady(page)
        assert live(page).startswith("output 0, 2, G 1")
        assert page.text('[data-total="so-far"]').startswith("so far, 3 of 9")
        page.press("End")
        steady(page)
        assert live(page).startswith("output 2, 2")
        assert page.page.query_selector('[data-total="so-far"]') is None
        page.press("f")
        steady(page)
        assert page.page.is_checked("text=turn the kernel")
        assert "since this layer turns its kernel" in page.text("#inspector")


TWO_KEYS = """() => {
  for (const key of ['ArrowRight', 'ArrowDown'])
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
}"""


def test_keys_that_come_faster_than_frames_all_count(lab: Running, browser: Any) -> None:
    with opened(browser, lab, "view=backward") as page:
        steady(page)
        page.page.evaluate(TWO_KEYS)
        steady(page)
        assert live(page) == "output 0, 0, G 1. ∂L/∂w at 1, 1: 19, 9 terms"


def test_the_update_is_taken_by_keyboard_and_the_loss_falls(lab: Running, browser: Any) -> None:
    with opened(browser, lab, "view=backward&g=mse&lr=0.001") as page:
        steady(page)
        losses = []
        page.page.focus("text=Update")
        for taken in range(4):
            assert f"{taken} taken" in page.text(".update")
            losses.append(float(page.page.get_attribute(".loss", "data-loss")))
            page.press("Enter")
            page.wait_for(f'.update:has-text("{taken + 1} taken")')
            steady(page)
        assert losses == sorted(losses, reverse=True)
        foretold = float(page.page.get_attribute(".loss", "data-next"))
        page.press("Enter")
        page.wait_for('.update:has-text("5 taken")')
        assert float(page.page.get_attribute(".loss", "data-loss")) == pytest.approx(foretold)


def test_what_comes_from_above_can_be_typed_cell_by_cell(lab: Running, browser: Any) -> None:
    numbers = "() => [...document.querySelectorAll('[data-grid=g] td')].map(c => c.textContent)"
    with opened(browser, lab, "view=backward&g=own&own=0,0,0,0,2&hot=4&tab=1") as page:
        steady(page)
        cells = [text for text in page.read(numbers) if text]
        assert cells == ["0", "0", "0", "0", "2", "0", "0", "0", "0"]
        page.page.fill("[aria-label='G at the chosen output']", "-3.5")
        page.press("Enter")
        page.wait_for('[data-grid=g] td:has-text("−3.5")')
        assert page.text("[data-grid=db] tbody td") == "−3.500"


@pytest.mark.parametrize(
    "state",
    [
        "view=backward&g=mse&pad=reflect&of=x&cell=7",
        "view=backward&op=pool&src=random&dims=3&size=4,5,4&g=random&read=gather",
    ],
)
def test_play_scrub_and_reload_draw_the_same_picture(
    lab: Running, browser: Any, state: str
) -> None:
    with opened(browser, lab, f"{state}&st=2") as page:
        steady(page)
        page.press(".", ".")
        steady(page)
        played = page.picture()
        page.press("Home")
        page.scrub(4)
        steady(page)
        assert_alike(page.picture(), played)
        page.page.wait_for_timeout(300)  # the link follows a moment later
        page.reload()
        steady(page)
        assert "st=4" in page.page.url
        assert_alike(page.picture(), played)


def test_a_link_out_of_bounds_is_clamped_or_ignored(lab: Running, browser: Any) -> None:
    wild = "view=backward&op=evil&s=99,0&cell=99999&st=99999&k=3x3:1,2&of=__proto__&n=-4&t=1e9"
    with opened(browser, lab, wild) as page:
        page.wait_for('.backward[data-settled="true"]')
        assert page.text(".backward .error") in ("", "open data first: key d.")


def test_a_link_is_followed_though_our_own_takes_its_place(lab: Running, browser: Any) -> None:
    """The address of what is shown is written a moment later: it may fall between the two."""
    with opened(browser, lab, "view=backward&seed=1") as page:
        page.wait_for(f'{READY}[data-seed="1"]')
        page.read(
            "() => { const own = location.hash; location.hash = 'view=backward&seed=7';"
            " history.replaceState(null, '', own); }"
        )
        page.wait_for(f'{READY}[data-seed="7"]', seconds=10)


def test_own_data_of_three_dimensions(lab: Running, browser: Any) -> None:
    with opened(browser, lab, "view=backward") as page:
        for seed, (sample, dims) in enumerate((("ecg", 1), ("cells", 2), ("volume", 3)), 1):
            size = ",".join(["5"] * dims)
            page.go(f"view=backward&d=sample:{sample}&src=data&n={size}&g=random&seed={seed}")
            page.wait_for(f'{READY}[data-good=true][data-seed="{seed}"]')
            assert page.text(".role-input figcaption").count("×") == dims - 1


def test_the_endpoint_answers_exactly(lab: Running) -> None:
    import io

    import numpy as np

    status, body = lab.post("ops/backward", FIGURE)
    assert status == 200
    values = np.load(io.BytesIO(body))
    loss, numeric, db, *rest = values.tolist()
    assert (loss, db) == (sum([6, 8, 12, 14]), 4)
    assert rest[:4] == [6, 8, 12, 14]
    assert rest[8:17] == [1, 1, 0, 1, 2, 1, 0, 1, 1]
    assert rest[17:] == [12, 16, 24, 28]
    assert numeric == pytest.approx(12)


@pytest.mark.parametrize(
    "change",
    [
        {"op": "eval"}, {"dims": 4}, {"size": [10**6, 1]}, {"kernel": [2]}, {"stride": [0, 1]},
        {"weight": [1, 2]}, {"bias": float("1e31")}, {"flip": 1}, {"input": ["1"] * 9},
        {"pad": {"mode": "zeros", "lo": [0, 0]}}, {"extra": 1}, {"loss": {"kind": "mse"}},
        {"check": {"grid": "w", "index": 99, "step": 0.01}}, {"grad": [1, 1]},
        {"dilation": [9, 9]}, {"kind": "max"},
    ],
)  # fmt: skip
def test_the_endpoint_refuses_what_it_does_not_know(lab: Running, change: dict) -> None:
    status, body = lab.post("ops/backward", FIGURE | change)
    assert status in (400, 422), json.loads(body)
    error_of(body)
