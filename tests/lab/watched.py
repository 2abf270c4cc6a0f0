"""A page of the lab under watch: foreign requests, errors and violations of its policy are kept."""

from typing import Any

from .running import Running

READY = "html[data-ready]"
CHECKED = "html[data-ready][data-checked]"


class Watched:
    """One tab. `troubles` lists what must not happen; `close` asserts that nothing did."""

    def __init__(self, browser: Any, lab: Running, **options: Any) -> None:
        size = {"width": 1440, "height": 900}
        self.lab, self.troubles = lab, []
        self.context = browser.new_context(**{"viewport": size} | options)
        name, _, value = lab.cookie.partition("=")
        held = {"name": name, "value": value, "url": lab.origin}
        self.context.add_cookies([held | {"httpOnly": True, "sameSite": "Strict"}])
        self.context.route("**/*", self._only_own)
        self.page = self.tab()

    def tab(self) -> Any:
        """One more page of the same browser."""
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', e => "
            "console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        return page

    def _only_own(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.lab.origin + "/", "data:", "blob:")):
            route.continue_()
        else:
            self.troubles.append(f"foreign request: {url}")
            route.abort()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text}")

    def show(self, link: str = "", *, checked: bool = True) -> None:
        """Show what a link tells, and wait until it stands; the page is opened where it is not."""
        if self.page.url.startswith(self.lab.origin):
            self.move(link or "#v=1")
            return
        self.page.goto(f"{self.lab.origin}/{link}")
        self.wait(checked=checked)

    def wait(self, *, checked: bool = True) -> None:
        self.page.wait_for_selector(CHECKED if checked else READY, state="attached")

    def move(self, link: str) -> None:
        """Go to another link on the same page."""
        self.page.evaluate(
            "link => { const told = document.documentElement.dataset;"
            "delete told.ready; delete told.checked; location.hash = ''; location.hash = link; }",
            link,
        )
        self.wait()

    def text(self, selector: str) -> str:
        return self.page.text_content(selector) or ""

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def settle(self) -> None:
        """Until what was asked for is drawn."""
        self.page.evaluate("() => new Promise(r => requestAnimationFrame(() => setTimeout(r, 0)))")

    def close(self) -> None:
        self.context.close()
        assert self.troubles == []
