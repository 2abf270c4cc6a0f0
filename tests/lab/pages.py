"""A page of the lab in a browser: nothing may go wrong in it while a test looks at it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from .running import Running

WATCH = """document.addEventListener("securitypolicyviolation",
  (e) => console.error("policy", e.violatedDirective, e.blockedURI));"""


class Page:
    """One tab. Errors of the console, of scripts, of the policy, and foreign requests are kept."""

    def __init__(self, tab: Any, lab: Running) -> None:
        self.tab, self.lab, self.wrong = tab, lab, []
        tab.on("console", self._console)
        tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        tab.on("request", self._request)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.lab.origin, "blob:", "data:")):
            self.wrong.append(f"asked for {request.url}")

    def go(self, fragment: str) -> None:
        """Another state, as if a link of it were opened in this tab."""
        self.tab.evaluate("hash => { location.hash = hash; }", fragment)

    def wait(self, selector: str, seconds: float = 30) -> Any:
        return self.tab.wait_for_selector(selector, timeout=1000 * seconds, state="attached")

    def read(self, script: str) -> Any:
        return self.tab.evaluate(script)

    def text(self, selector: str) -> str:
        return self.tab.text_content(selector) or ""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def picture(self) -> np.ndarray:
        """The window (rows, columns, RGB), without the foot, which tells milliseconds."""
        self.tab.mouse.move(3, 3)
        foot = [self.tab.locator("#note")]
        seen = self.tab.screenshot(animations="disabled", caret="hide", mask=foot)
        return np.asarray(Image.open(io.BytesIO(seen)).convert("RGB")).astype(int)

    def reload(self) -> None:
        self.tab.reload()
        self.wait("html[data-ready=true]")


def assert_alike(a: np.ndarray, b: np.ndarray) -> None:
    """Pixel for pixel; round corners are drawn with a last bit that comes and goes."""
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1


@contextmanager
def opened(
    browser: Any, lab: Running, fragment: str, *, width: int = 1440, height: int = 1000, **more: Any
) -> Iterator[Page]:
    """A tab with this state; it must end without anything having gone wrong."""
    name, _, secret = lab.cookie.partition("=")
    context = browser.new_context(
        viewport={"width": width, "height": height}, reduced_motion="reduce", **more
    )
    cookie = {"name": name, "value": secret, "url": lab.origin, "sameSite": "Strict"}
    context.add_cookies([cookie | {"httpOnly": True}])
    context.add_init_script(WATCH)
    page = Page(context.new_page(), lab)
    page.tab.goto(f"{lab.origin}/#{fragment}")
    page.wait("html[data-ready=true]")
    yield page
    context.close()
    assert page.wrong == []
