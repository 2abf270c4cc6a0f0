"""Choosing data on the page: own files, those of the command line, and what is said of bad ones."""

from pathlib import Path
from typing import Any

from .running import Running
from .watched import Watched

FIRST = "dialog[open] .card:not([hidden]) strong"


def test_links_are_clamped_and_tell_no_names(tab: Watched, tmp_path: Path) -> None:
    secret = tmp_path / "Jane Doe 1970.csv"
    secret.write_text("\n".join(str(i) for i in range(40)))
    tab.show("#view=evil&op=rm&n=99999&s=-4,0&st=1e9&k=9x9:1&pad=<b>&ch=77777&z=1,2,x")
    assert tab.text("#title") == "Convolve"
    tab.press("d")
    tab.page.set_input_files("#file", secret)
    tab.page.wait_for_selector("#what:has-text('Jane Doe 1970.csv')")
    tab.page.wait_for_url("**d=id:**")
    assert "Jane" not in tab.page.url
    assert "Jane" not in tab.page.title()


def test_a_link_to_a_file_that_is_gone_says_so(tab: Watched) -> None:
    expected = "console: Failed to load resource"
    tab.show(f"#d=id:{24 * 'a'}")
    assert "needs your file" in tab.text("#what")
    tab.troubles[:] = [t for t in tab.troubles if not t.startswith(expected)]


def test_a_file_named_with_markup_is_text(tab: Watched, lab: Running) -> None:
    name = '"><img src=x onerror=alert(1)>.csv'
    tab.page.on("dialog", lambda dialog: tab.troubles.append(dialog.message))
    tab.show()
    file = {"name": name, "mimeType": "text/csv", "buffer": b"1\n2\n3\n2\n1\n"}
    tab.press("d")
    tab.page.set_input_files("#file", file)
    tab.page.wait_for_selector("#what:has-text('onerror')")
    assert name in tab.text("#what")
    assert tab.page.locator("img").count() == 0


def test_a_refused_file_is_explained(tab: Watched) -> None:
    tab.show()
    tab.press("d")
    file = {"name": "model.pt", "mimeType": "", "buffer": b"\x80\x02}."}
    tab.page.set_input_files("#file", file)
    tab.page.wait_for_selector("dialog [role=alert]:has-text('run their sender')")
    tab.troubles[:] = [t for t in tab.troubles if "422" not in t]


def test_what_is_wrong_with_a_file_is_seen_wherever_the_list_was(tab: Watched) -> None:
    tab.show()
    tab.press("d")
    tab.page.wait_for_selector(FIRST)
    tab.page.evaluate("document.querySelector('dialog[open]').scrollTo(0, 1e6)")
    file = {"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"}
    tab.page.set_input_files("#file", file)
    words = "dialog[open] [role=alert]:has-text('bad.png')"
    tab.page.wait_for_selector(words)
    box = tab.page.locator(words).bounding_box()
    frame = tab.page.locator("dialog[open]").bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"] - box["height"]
    tab.troubles[:] = [t for t in tab.troubles if "422" not in t]


NAMES = """() => [...document.querySelectorAll(
    "dialog[open] .find ~ .cards .card:not([hidden]) strong")].map(one => one.textContent)"""


def test_a_file_of_the_folders_is_found_by_part_of_its_name(tab: Watched) -> None:
    tab.show()
    tab.press("d")
    tab.page.wait_for_function(f"({NAMES})().length > 1")
    tab.page.fill("dialog[open] .find", "DEEP")
    assert tab.page.evaluate(NAMES) == ["below/deep.txt"]
    tab.page.fill("dialog[open] .find", "")
    assert len(tab.page.evaluate(NAMES)) > 1


def test_what_is_typed_before_the_list_comes_holds_when_it_has_come(tab: Watched) -> None:
    held: list[Any] = []
    tab.show()
    tab.press("d")
    tab.page.wait_for_function(f"({NAMES})().length > 1")
    tab.page.keyboard.press("Escape")
    tab.page.route("**/sources", lambda route: held.append(route))
    try:
        with tab.page.expect_request("**/sources"):
            tab.press("d")
        tab.page.fill("dialog[open] .find", "deep")
        with tab.page.expect_response("**/sources"):
            held[0].continue_()
        tab.settle()
        assert tab.page.evaluate(NAMES) == ["below/deep.txt"]
        assert tab.page.input_value("dialog[open] .find") == "deep"
    finally:
        tab.page.unroute("**/sources")
