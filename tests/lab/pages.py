"""Watched pages of the backward and the architecture view: states, pictures, what stands there."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from .running import Running
from .watched import READY, Watched


class Page(Watched):
    """One tab; states are given as the fragment of a link."""

    def go(self, fragment: str) -> None:
        """Another state, as if a link of it were opened in this tab."""
        self.page.evaluate("hash => { location.hash = hash; }", fragment)

    def wait_for(self, selector: str, seconds: float = 30) -> Any:
        return self.page.wait_for_selector(selector, timeout=1000 * seconds, state="attached")

    def read(self, script: str) -> Any:
        return self.page.evaluate(script)

    def picture(self) -> np.ndarray:
        """The window (rows, columns, RGB), without the foot, which tells milliseconds."""
        self.page.mouse.move(3, 3)
        foot = [self.page.locator("#note")]
        seen = self.page.screenshot(animations="disabled", caret="hide", mask=foot)
        return np.asarray(Image.open(io.BytesIO(seen)).convert("RGB")).astype(int)

    def scrub(self, step: int) -> None:
        """Move the slider of the transport."""
        self.page.fill("#transport input[type=range]", str(step))
        self.page.evaluate("document.activeElement.blur()")

    def reload(self) -> None:
        self.page.reload()
        self.wait_for(READY)


def assert_alike(a: np.ndarray, b: np.ndarray) -> None:
    """Pixel for pixel; round corners are drawn with a last bit that comes and goes."""
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 2


@contextmanager
def opened(browser: Any, lab: Running, fragment: str, **more: Any) -> Iterator[Page]:
    """A tab with this state; it must end without anything having gone wrong."""
    size = {"viewport": {"width": 1440, "height": 1000}}
    page = Page(browser, lab, **size | {"reduced_motion": "reduce"} | more)
    page.show(f"#{fragment}", checked=False)
    yield page
    page.close()
