"""Ticks, scales, lines, whiskers and strips; and colours that can be told apart and read."""

import re
from importlib.resources import files
from itertools import pairwise

import pytest

from convivo.reporting.distributions import Strip, interval_range, strip_plot, whisker
from convivo.reporting.plots import (
    MAX_POINTS,
    SERIES_DARK,
    SERIES_LIGHT,
    Scale,
    Series,
    element,
    exact,
    line_plot,
    padded,
    thinned,
    ticks,
)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7.9), (1e-6, 3e-6), (0, 12345), (5, 5.1)])
def test_ticks_are_round_few_and_inside(low, high):
    found = ticks(low, high, 5)
    assert 3 <= len(found) <= 11
    assert all(low <= t <= high for t in found)
    steps = {round(b - a, 12) for a, b in pairwise(found)}
    assert len(steps) == 1


def test_scale_maps_ends_to_ends_even_upside_down():
    scale = Scale(2, 4, 100, 20)
    assert (scale(2), scale(3), scale(4)) == (100, 60, 20)


def test_ranges_are_never_empty():
    for values in ([], [3.0], [0.0, 0.0], [float("nan")]):
        low, high = padded(values)
        assert low < high
    assert exact([2.0, 2.0]) == (1.5, 2.5)


def test_element_escapes_text_and_attributes():
    made = element("text", "<b>", class_='"x')
    assert made == '<text class="&#34;x">&lt;b&gt;</text>'


def test_line_plot_leaves_out_what_is_not_finite():
    nan = float("nan")
    plot = str(line_plot([Series(name="a", x=[1, 2, 3], y=[0.1, nan, 0.3])], label="l"))
    assert "nan" not in plot
    points = re.search(r'points="([^"]*)"', plot)
    assert points
    assert len(points.group(1).split()) == 2


def test_long_lines_are_thinned_and_keep_their_end():
    kept = thinned([(float(n), 0.0) for n in range(10_000)])
    assert len(kept) == MAX_POINTS
    assert (kept[0][0], kept[-1][0]) == (0, 9999)


def test_epochs_have_whole_ticks():
    series = Series(name="a", x=list(range(1, 8)), y=[0.0] * 7)
    plot = str(line_plot([series], label="l", x_label="epoch"))
    below = re.findall(r'class="tick mid"[^>]*>([^<]+)<', plot)
    assert below
    assert all(float(t).is_integer() for t in below)


def test_whisker_says_value_and_interval():
    drawn = whisker([0.884, 0.871, 0.896], (0.7, 1.0))
    assert 'aria-label="0.884, 95 % interval 0.871 to 0.896"' in drawn
    assert 'aria-label="0.500"' in whisker([0.5, None, None], (0.0, 1.0))
    assert "circle" not in whisker([None, None, None], (0.0, 1.0))


@pytest.mark.parametrize(
    ("rows", "bounded", "wanted"),
    [
        ([(0.9, 0.85, 0.95)], True, (0.8, 1.0)),
        ([(0.05, 0.0, 0.2)], True, (0.0, 1.0)),
        ([(1.0, None, None)], True, (0.9, 1.0)),
        ([(-0.2, -0.4, 0.1)], True, (-0.5, 1.0)),
        ([], True, (0.0, 1.0)),
    ],
)
def test_axis_of_scores_ends_at_one_and_shows_the_lowest(rows, bounded, wanted):
    assert interval_range(rows, bounded=bounded) == wanted


def test_axis_of_distances_begins_at_zero():
    low, high = interval_range([(2.0, 1.0, 4.0)], bounded=False)
    assert low == 0
    assert high > 4


def test_strips_name_each_case_and_survive_missing_ones():
    strips = [
        Strip(name="a <b>", values=[0.1, float("nan"), 0.9], ids=["x", "y", "z"]),
        Strip(name="none", values=[], ids=[]),
    ]
    plot = str(strip_plot(strips, label="l", x_label="Dice"))
    assert plot.count("<circle") == 2
    assert "<title>z: 0.900</title>" in plot
    assert "a &lt;b&gt;" in plot
    assert "no case" in plot


def test_many_cases_are_an_even_choice():
    values = [n / 5000 for n in range(5000)]
    strip = Strip(name="a", values=values, ids=["i"] * 5000)
    assert str(strip_plot([strip], label="l", x_label="Dice")).count("<circle") == 400


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_texts_and_lines_stand_out_from_their_ground():
    css = (files("convivo.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part))
        for part in css.split("@media screen and (prefers-color-scheme: dark)")
    )
    for colors, series in ((light, SERIES_LIGHT[:2]), (dark, SERIES_DARK)):
        for text in ("ink", "soft", "accent", "error"):
            for ground in ("ground", "faint", "warn-ground"):
                assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
        for color in series:
            assert contrast(color, colors["ground"]) >= 3
