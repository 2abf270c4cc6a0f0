import numpy as np
import pytest

from convivo.data.symmetry import natural_flips, told_apart


def cells(n, shape=(40, 44), seed=0):
    """Round bodies anywhere in the field: no left, no right, no up."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    images = []
    for _ in range(n):
        field = rng.normal(0, 0.1, shape)
        for _ in range(4):
            centre, radius = [rng.uniform(0, m) for m in shape], rng.uniform(3, 7)
            field[sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2] += 1
        images.append(field[None])
    return images


def strokes(n, parts, seed=0, shape=(28, 30)):
    """A shape of bars (rows and columns from, to), shaken, with noise: written like a digit."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(n):
        image = rng.normal(0, 0.2, shape)
        dy, dx = rng.integers(-2, 3, 2)
        for top, bottom, left, right in parts:
            image[top + dy : bottom + dy, left + dx : right + dx] += rng.uniform(0.7, 1.3)
        images.append(image[None])
    return images


LETTER_F = [(5, 23, 8, 11), (5, 8, 8, 22), (12, 15, 8, 18)]
LETTER_T = [(5, 8, 6, 24), (5, 23, 13, 17)]
LETTER_H = [(5, 23, 7, 10), (5, 23, 20, 23), (12, 16, 7, 23)]


def units(n, per_unit=1):
    return [f"u{i // per_unit}" for i in range(n)]


def test_cells_may_be_mirrored_along_both_axes():
    assert natural_flips(cells(160), units(160), 2) == (0, 1)


def test_characters_may_not_be_mirrored():
    assert natural_flips(strokes(60, LETTER_F), units(60), 2) == ()


def test_characters_may_be_mirrored_along_the_axis_they_are_symmetric_in():
    assert natural_flips(strokes(200, LETTER_T), units(200), 2) == (1,)


def test_characters_symmetric_in_both_axes():
    assert natural_flips(strokes(200, LETTER_H), units(200), 2) == (0, 1)


def test_volume_with_one_telling_axis():
    bodies = cells(120, (12, 14, 16), seed=3)
    for body in bodies:
        body[:, :, :4] += 0.5  # a floor along the second axis
    assert natural_flips(bodies, units(120), 3) == (0, 2)


def test_colours_and_unequal_sizes_do_not_matter():
    images = [
        np.repeat(image[:, : 28 - i % 3], 3, axis=0).astype(np.float16)
        for i, image in enumerate(strokes(60, LETTER_F))
    ]
    assert natural_flips(images, units(60), 2) == ()


def test_time_runs_one_way():
    assert natural_flips([np.ones((1, 50))] * 40, units(40), 1) == ()


def test_with_few_images_nothing_is_sure():
    assert natural_flips(cells(7), units(7), 2) == ()


def test_all_images_of_one_unit_are_still_judged():
    assert natural_flips(strokes(60, LETTER_F), ["one"] * 60, 2) == ()


def test_blank_images_are_guessed():
    assert natural_flips([np.zeros((1, 20, 20))] * 10, units(10), 2) == (0, 1)


@pytest.mark.parametrize("axis", [1, 2])
def test_share_told_apart(axis):
    images = np.stack([image[0] for image in strokes(40, LETTER_F)])
    half = np.arange(40) % 2
    assert told_apart(images, axis, half) > 0.95
    some = np.random.default_rng(1).random(40) < 0.5  # half of them are mirrored already
    mixed = np.where(some[:, None, None], np.flip(images, axis), images)
    assert 0.25 < told_apart(mixed, axis, half) < 0.75
