"""The page as a whole: complete, safe, self-contained, and never broken by what is missing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from convivo.reporting import CasePicture, Report, write_report
from convivo.reporting.page import render

from .example_content import EXAMPLES, beats, images, volumes

VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Collects tags, addresses and text; fails on tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.attributes.append((tag, found))
        self.addresses += [found[k] for k in ("src", "href", "srcset", "action") if k in found]
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: render(make()) for name, make in EXAMPLES.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_is_well_formed_and_small(pages, name):
    reader = read(pages[name])
    assert reader.tags.count("h1") == 1
    assert {"table", "figure", "svg"} <= set(reader.tags)
    assert len(pages[name].encode()) < 3_000_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_needs_nothing_from_outside(pages, name):
    reader = read(pages[name])
    assert all(a.startswith(("#", "data:image/png;base64,")) for a in reader.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & set(reader.tags)
    for forbidden in ("http:", "https:", "url(", "@import"):
        assert forbidden not in pages[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_can_be_read_without_seeing_it(pages, name):
    for tag, attributes in read(pages[name]).attributes:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
        if tag == "th":
            assert attributes["scope"] in ("row", "col", "colgroup")
    assert pages[name].count("<caption") == pages[name].count("<table")


def test_headline_is_a_sentence_with_interval_and_population(pages):
    wanted = "Mean Dice 0.884 (95 % interval 0.872 to 0.896) over 36 test cases."
    assert wanted in pages["volumes"]
    assert "10,452 beats in 5 test cases from 5 subjects" in pages["beats"]
    assert all("Not for clinical use." in page for page in pages.values())


def test_warnings_name_what_weakens_the_result(pages):
    assert "may be too good and its interval too narrow" in pages["volumes"]
    assert "(--accept duplicate-across-splits)" in pages["images"]
    assert "3 training steps gave values that are not finite" in pages["images"]
    assert "Training ended early, at step 630 of 900." in pages["images"]
    assert "evaluated 3 times" in pages["images"]


def test_a_note_of_the_run_is_not_said_twice():
    made = volumes()
    note = "Subjects are not known; the intervals may be too narrow."
    page = render(replace(made, evaluation={**made.evaluation, "notes": [note]}))
    assert page.count(note) == 1
    assert "Cases were taken as independent" not in page


def test_names_are_escaped_everywhere():
    made = images()
    data = made.inspection | {
        "classes": [{"name": EVIL, "count": 3}], "path": EVIL, "layout": EVIL,
        "problems": [{"severity": EVIL, "code": EVIL, "path": EVIL, "message": EVIL}],
    }  # fmt: skip
    evaluation = made.evaluation | {
        "roc": {EVIL: {"fpr": [0, 1], "tpr": [0, 1]}}, "notes": [EVIL],
        "per_case": [{"id": EVIL, f"auroc.{EVIL}": 0.5}],
        "metrics": {"auroc": {"value": 0.5}, f"sensitivity.{EVIL}": {"value": 0.5, "unit": EVIL},
                    "confusion": {"value": [[1, 2], [3, 4]], "labels": [EVIL, "b"]}},
    }  # fmt: skip
    case = CasePicture(id=EVIL, caption=EVIL, text=EVIL, image=np.ones((1, 7, 9), np.float32))
    trace = replace(case, image=np.ones((1, 50), np.float32), marks=((3, EVIL),))
    page = render(
        Report(title=EVIL, inspection=data, evaluation=evaluation, best=[case, trace],
               plan={"net": EVIL, "reasons": [EVIL]}, config={EVIL: {EVIL: EVIL}},
               receipt={"machine": {EVIL: EVIL}, "commit": EVIL}, notes=[EVIL])
    )  # fmt: skip
    assert "<script" not in page
    assert "onerror" not in page
    assert "alert" in read(page).text


def test_quotes_in_names_cannot_leave_an_attribute():
    name = '" onmouseover="x'
    case = CasePicture(id=name, caption="", image=np.ones((1, 7, 9), np.float32))
    reader = read(render(Report(title="t", best=[case], receipt={"split_sha256": name})))
    assert not any("onmouseover" in attributes for _, attributes in reader.attributes)


def test_an_empty_report_says_that_there_is_no_result():
    reader = read(render(Report(title="Nothing yet")))
    assert "No result on a test set yet." in reader.text
    assert "Nothing was evaluated yet." in reader.text


def drop_one(document, path=()):
    """Every copy of a document with one key, at any depth, missing or null."""
    for key, value in document.items():
        yield (*path, key), {k: v for k, v in document.items() if k != key}
        yield (*path, key), document | {key: None}
        if isinstance(value, dict) and path == ():
            for where, smaller in drop_one(value, (key,)):
                yield where, document | {key: smaller}


@pytest.mark.parametrize("part", ["inspection", "plan", "split", "evaluation", "receipt", "config"])
@pytest.mark.parametrize(
    "make", [volumes, *(pytest.param(m, marks=pytest.mark.slow) for m in (beats, images))]
)
def test_any_missing_or_null_key_is_survived(make, part):
    whole = replace(make(), best=[], worst=[], examples=[])
    if part == "split":
        whole = replace(whole, split=whole.split | {"units": {}})
    for _, smaller in drop_one(getattr(whole, part)):
        page = render(replace(whole, **{part: smaller}))
        assert "Undefined" not in page


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "text", [], {}, True])
def test_odd_values_never_reach_the_page_as_numbers(value):
    metrics = {"dice": {"value": value, "low": value, "high": value}, "iou": value}
    lines = [{"epoch": 1, "step": 1, "loss": value, "val": value, "lr": value}] * 2
    page = render(Report(title="t", history=lines, plan={"macs": value, "batch": value},
                         evaluation={"metrics": metrics, "cases": value, "units": value},
                         inspection={"classes": [{"name": "a", "count": value}], "shape": value,
                                     "spacing": {"unit": "mm", "median": value}}))  # fmt: skip
    assert "nan" not in read(page).text
    assert 'points="nan' not in page


def test_missing_cells_of_history_leave_gaps_not_zeros():
    lines = [
        {"epoch": 1, "loss": 1.0, "val": None},
        {"epoch": 2, "loss": None, "val": {"score": 0.5}},
    ]
    page = render(Report(title="t", history=lines))
    assert page.count('<circle cx="') == 2


def test_a_split_that_shares_units_is_not_called_apart():
    split = {"unit": "subject", "train": ["a", "b"], "test": ["c"],
             "units": {"a": "x", "b": "y", "c": "x"}}  # fmt: skip
    assert "1 subject in more than one part." in render(Report(title="t", split=split))


def test_hashes_are_short_with_the_whole_one_at_hand(pages):
    assert f'title="{"a1" * 32}"' in pages["volumes"]
    assert pages["volumes"].count("a1" * 32) == 1


def test_large_confusion_is_told_by_its_most_frequent_mistakes():
    labels = [f"class {n}" for n in range(20)]
    value = np.eye(20, dtype=int) * 50
    value[3, 7] = 9
    metrics = {"accuracy": {"value": 0.99},
               "confusion": {"value": value.tolist(), "labels": labels}}  # fmt: skip
    text = " ".join(read(render(Report(title="t", evaluation={"metrics": metrics}))).text.split())
    assert "The most frequent mistakes." in text
    assert re.search("class 3 ?class 7 ?9", text)


def test_a_class_that_does_not_occur_is_left_out_of_the_confusion():
    value = [[5, 1, 0], [2, 6, 0], [0, 0, 0]]
    metrics = {"confusion": {"value": value, "labels": ["N", "S", "unseen"]}}
    assert "unseen" not in render(Report(title="t", evaluation={"metrics": metrics}))


def test_file_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "run" / "report.html"
    assert write_report(volumes(), path) == path
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    broken = Report(title="t", history=[{"epoch": 1, "loss": 1.0}], best=[None])  # type: ignore[list-item]
    with pytest.raises(AttributeError):
        write_report(broken, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_names_that_are_no_valid_text_can_be_written(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", errors="surrogateescape")
    case = CasePicture(id=name, caption="", image=np.ones((1, 7, 9), np.float32))
    page = write_report(Report(title=name, best=[case]), tmp_path / "report.html").read_bytes()
    assert b"caf?.png" in page


def test_same_content_gives_the_same_bytes(tmp_path):
    one, two = (write_report(beats(), tmp_path / name) for name in ("a.html", "b.html"))
    assert Path(one).read_bytes() == Path(two).read_bytes()
