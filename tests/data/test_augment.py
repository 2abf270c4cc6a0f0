import json
from dataclasses import fields

import numpy as np
import pytest
import torch

from convivo.data.augment import Augmentation, apply, default, draw
from convivo.errors import ConfigError, ShapeError

SHAPES = [(60,), (27, 33), (17, 19, 23)]
ALWAYS = {
    1: Augmentation(
        scale=0.1, shift=0.03, time_warp=0.02, p_spatial=1, gain=0.3, p_gain=1, noise=0.1,
        p_noise=1, baseline_wander=0.5, p_baseline_wander=1, powerline=0.2, p_powerline=1,
        muscle=0.3, p_muscle=1, p_lead_drop=0.3, p_polarity=0.5,
    ),
}  # fmt: skip
ALWAYS[2] = ALWAYS[3] = Augmentation(
    rotate_deg=20, scale=0.2, shift=0.1, p_spatial=1, contrast=0.3, p_contrast=1, brightness=0.3,
    p_brightness=1, gamma=0.4, p_gamma=1, noise=0.1, p_noise=1, blur=1, p_blur=1,
    low_resolution=2, p_low_resolution=1, flip_axes=(0, 1),
)  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def batch(shape, n=6, channels=2):
    images = torch.from_numpy(rng(1).normal(size=(n, channels, *shape)).astype(np.float32))
    labels = torch.from_numpy(rng(2).integers(0, 3, (n, *shape)))
    return images, labels


def ball(shape, n=6):
    """Images that are their own label maps: an ellipsoid off the centre."""
    place = np.meshgrid(*[np.linspace(-1, 1, m) for m in shape], indexing="ij")
    mask = sum((x - 0.1 * (i + 1)) ** 2 for i, x in enumerate(place)) < 0.36
    labels = torch.from_numpy(np.repeat(mask[None], n, axis=0).astype(np.int64))
    return labels.unsqueeze(1).float(), labels


def only(field, value, **more):
    """One change, drawn for every item."""
    return Augmentation(**{field: value, f"p_{field}": 1.0, **more})


@pytest.mark.parametrize("shape", SHAPES)
def test_same_parameters_same_bits(shape):
    images, labels = batch(shape)
    before = images.clone(), labels.clone()
    drawn = [draw(ALWAYS[len(shape)], 6, shape, 2, rng(3)) for _ in range(2)]
    first = apply(images, labels, drawn[0])
    torch.manual_seed(99)  # global randomness has no part in it
    for parameters in drawn:
        again = apply(images, labels, parameters)
        assert torch.equal(first[0], again[0])
        assert torch.equal(first[1], again[1])
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert torch.isfinite(first[0]).all()
    assert not torch.equal(first[0], images)
    given = images.clone(), labels.clone()
    again = apply(*given, drawn[0], in_place=True)
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[1], first[1])
    assert again[0].data_ptr() == given[0].data_ptr()
    other = apply(images, labels, draw(ALWAYS[len(shape)], 6, shape, 2, rng(4)))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("shape", SHAPES)
def test_without_changes_everything_is_exact(shape):
    images, labels = batch(shape)
    result = apply(images, labels, draw(Augmentation(), 6, shape, 2, rng()))
    assert torch.equal(result[0], images)
    assert torch.equal(result[1], labels)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [f.name for f in fields(Augmentation) if f.name[:2] == "p_"])
def test_only_drawn_items_change(shape, name):
    """With a chance of a half, some items keep their exact values and some do not."""
    picture_only = {"p_elastic"}
    signal_only = {"p_powerline", "p_muscle", "p_baseline_wander", "p_lead_drop", "p_polarity"}
    values = default(len(shape), "classify").to_dict()
    values |= {f.name: 0.0 for f in fields(Augmentation) if f.name[:2] == "p_"} | {name: 0.4}
    strength = name.removeprefix("p_")
    if strength in values and not values[strength]:
        values[strength] = 0.4
    values["low_resolution"] = 2.0
    images, _ = batch(shape, n=24)
    step = (1 / 360,) if len(shape) == 1 else None
    drawn = draw(Augmentation.from_dict(values), 24, shape, 2, rng(), spacing=step)
    changed = (apply(images, None, drawn)[0] != images).flatten(1).any(1)
    if name in (signal_only if len(shape) > 1 else picture_only):
        assert not changed.any()
    else:
        assert 0 < int(changed.sum()) < 24


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_move_with_the_images(shape):
    images, labels = ball(shape)
    moving = Augmentation(
        rotate_deg=20, scale=0.2, shift=0.1, time_warp=0.05, p_spatial=1, flip_axes=(0,)
    )
    moved, targets = apply(images, labels, draw(moving, 6, shape, 1, rng()))
    assert targets.dtype == torch.int64
    assert set(targets.unique().tolist()) <= {0, 1}
    assert ((moved[:, 0] > 0.5) == (targets == 1)).float().mean() > 0.98
    assert (targets != labels).float().mean() > 0.02


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flips_are_exact_and_along_the_axis_named(shape, axis):
    if axis >= len(shape):
        with pytest.raises(ShapeError, match=f"flip_axes are below {len(shape)}; got"):
            draw(Augmentation(flip_axes=(axis,)), 1, shape, 1, rng())
        return
    images, labels = batch(shape, n=16)
    drawn = draw(Augmentation(flip_axes=(axis,)), 16, shape, 2, rng())
    result, targets = apply(images, labels, drawn)
    flipped = 0
    for i in range(16):
        turned = torch.equal(result[i], images[i].flip(1 + axis))
        expected = labels[i].flip(axis) if turned else labels[i]
        assert turned or torch.equal(result[i], images[i])
        assert torch.equal(targets[i], expected)
        flipped += turned
    assert 2 < flipped < 14


@pytest.mark.parametrize(
    ("shape", "spacing"), [((27, 33), (1, 1)), ((27, 33), (1, 2)), ((17, 19, 23), (1, 1.3, 0.8))]
)
def test_rotation_is_true_in_millimetres(shape, spacing):
    """A ramp that rises 1 per mm still does after any rotation, in another direction."""
    steps = np.asarray(spacing, dtype=float)
    for axis in range(len(shape)):
        ramp = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, steps, strict=True)],
                           indexing="ij")[axis]  # fmt: skip
        image = torch.from_numpy(ramp.astype(np.float32))[None, None].repeat(
            4, 1, *[1] * len(shape)
        )
        drawn = draw(Augmentation(rotate_deg=12, p_spatial=1), 4, shape, 1, rng(), spacing=spacing)
        for item in apply(image, None, drawn)[0][:, 0].numpy():
            gradient = np.stack(np.gradient(item, *steps))
            inner = tuple(slice(n // 2 - 2, n // 2 + 3) for n in shape)
            size = np.sqrt((gradient[(slice(None), *inner)] ** 2).sum(0))
            np.testing.assert_allclose(size, 1, atol=0.02)
            assert np.abs(gradient[axis][inner] - 1).max() > 1e-4


def test_coarse_volumes_turn_mostly_in_their_plane():
    shape, spacing = (25, 25, 25), (1, 1, 8)
    drawn = draw(Augmentation(rotate_deg=30, p_spatial=1), 40, shape, 1, rng(), spacing=spacing)
    # Matrices are in affine_grid order: (z, y, x) of axes (2, 1, 0).
    matrices = drawn.place.matrices[:, ::-1, :3][:, :, ::-1]
    physical = matrices * np.array(spacing)[None, :, None] / np.array(spacing)[None, None, :]
    in_plane = np.abs(physical[:, 0, 1]).max()
    across = max(np.abs(physical[:, 0, 2]).max(), np.abs(physical[:, 1, 2]).max())
    assert np.sin(np.deg2rad(20)) < in_plane <= np.sin(np.deg2rad(30)) + 1e-3
    assert across < np.sin(np.deg2rad(30 / 8)) * 1.3


def test_shift_moves_by_the_share_asked_for():
    images = torch.zeros(12, 1, 20, 40)
    images[:, :, 10, 20] = 1
    drawn = draw(Augmentation(shift=0.2, p_spatial=1), 12, (20, 40), 1, rng())
    result = apply(images, None, drawn)[0][:, 0]
    place = torch.stack([torch.nonzero(item == item.max())[0] for item in result])
    reach = (place - torch.tensor([10, 20])).abs().max(0).values
    assert 2 <= reach[0] <= 4
    assert 4 <= reach[1] <= 8


def test_time_never_runs_backwards():
    ramp = torch.arange(600.0)[None, None].repeat(50, 1, 1)
    bending = Augmentation(scale=1.5, shift=0.1, time_warp=0.1, p_spatial=1)
    result = apply(ramp, None, draw(bending, 50, (600,), 1, rng()))[0]
    assert (result.diff(dim=-1) >= 0).all()
    assert result.min() >= 0
    assert result.max() <= 599


def test_gain_contrast_and_brightness_are_what_they_say():
    images, _ = batch((27, 33))
    axes = (2, 3)
    louder = apply(images, None, draw(only("gain", 0.5), 6, (27, 33), 2, rng()))[0]
    ratio = louder / images
    assert (ratio.amax(axes) - ratio.amin(axes)).max() < 1e-4
    assert ratio.min() > 1 / 1.5 - 1e-4
    assert ratio.max() < 1.5 + 1e-4
    harder = apply(images + 3, None, draw(only("contrast", 0.5), 6, (27, 33), 2, rng()))[0]
    np.testing.assert_allclose(harder.mean(axes), (images + 3).mean(axes), atol=1e-4)
    lighter = apply(images, None, draw(only("brightness", 0.5), 6, (27, 33), 2, rng()))[0]
    assert (lighter - images).abs().max() <= 0.5 + 1e-5
    assert (lighter - images).std(axes).max() < 1e-5


def test_gamma_keeps_the_extremes_and_the_order():
    images, _ = batch((27, 33))
    bent = apply(images, None, draw(only("gamma", 0.5), 6, (27, 33), 2, rng()))[0]
    np.testing.assert_allclose(bent.amin((2, 3)), images.amin((2, 3)), atol=1e-5)
    np.testing.assert_allclose(bent.amax((2, 3)), images.amax((2, 3)), atol=1e-5)
    order = images.flatten(2).argsort(-1)
    assert (bent.flatten(2).gather(-1, order).diff(dim=-1) >= -1e-6).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", ["blur", "low_resolution"])
def test_softening_keeps_constants_and_lowers_detail(shape, change):
    drawn = draw(only(change, 2.0), 6, shape, 2, rng())
    flat = torch.full((6, 2, *shape), 3.0)
    np.testing.assert_allclose(apply(flat, None, drawn)[0], flat, rtol=1e-5)
    images, _ = batch(shape)
    softer = apply(images, None, drawn)[0].flatten(1).std(1)
    assert (softer < images.flatten(1).std(1)).all()


def test_noise_has_at_most_the_deviation_asked_for():
    flat = torch.zeros(50, 1, 27, 33)
    noisy = apply(flat, None, draw(only("noise", 0.3), 50, (27, 33), 1, rng()))[0]
    deviation = noisy.flatten(1).std(1)
    assert 0.2 < deviation.max() < 0.33
    assert not torch.equal(noisy[0], noisy[1])


def test_constant_and_zero_images_stay_finite():
    for value in (0.0, 5.0):
        images = torch.full((6, 2, 27, 33), value)
        assert torch.isfinite(apply(images, None, draw(ALWAYS[2], 6, (27, 33), 2, rng()))[0]).all()


@pytest.mark.parametrize("channels", [1, 2, 12])
def test_leads_fall_silent_but_never_all(channels):
    images = torch.ones(64, channels, 60)
    dropping = Augmentation(p_lead_drop=0.9, noise=0.1, p_noise=1)
    silent = (apply(images, None, draw(dropping, 64, (60,), channels, rng()))[0] == 0).all(-1)
    assert (silent.sum(1) < channels).all()
    assert bool(silent.any()) == (channels > 1)


def test_polarity_turns_all_channels_together():
    images, _ = batch((60,), n=16)
    result = apply(images, None, draw(Augmentation(p_polarity=0.5), 16, (60,), 2, rng()))[0]
    for before, after in zip(images, result, strict=True):
        assert torch.equal(after, before) or torch.equal(after, -before)


@pytest.mark.parametrize("rate", [250, 360, 1000])
def test_powerline_has_the_frequency_of_the_mains(rate):
    images = torch.zeros(8, 1, 4 * rate)
    drawn = draw(only("powerline", 0.3), 8, (4 * rate,), 1, rng(), spacing=(1 / rate,))
    spectrum = np.abs(np.fft.rfft(apply(images, None, drawn)[0][:, 0].numpy()))
    assert set(np.rint(spectrum.argmax(1) / 4).tolist()) == {50, 60}


@pytest.mark.parametrize("spacing", [None, (1.0,), (1 / 90,)])
def test_no_powerline_where_the_rate_cannot_hold_it(spacing):
    images = torch.zeros(8, 1, 200)
    drawn = draw(only("powerline", 0.3), 8, (200,), 1, rng(), spacing=spacing)
    assert (apply(images, None, drawn)[0] == 0).all()


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("task", ["classify", "segment"])
def test_presets_survive_json_and_apply(dims, task):
    preset = default(dims, task, tuple(range(dims)))
    assert Augmentation.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset
    assert preset.flip_axes == tuple(range(dims))
    assert default(dims, task).flip_axes == ()
    assert default(dims, task, True) == preset
    images, labels = batch(SHAPES[dims - 1])
    drawn = draw(preset, 6, SHAPES[dims - 1], 2, rng())
    assert apply(images, labels, drawn)[0].shape == images.shape


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotate": 10}, "a known key; got rotate. Did you mean 'rotate_deg'"),
        ({"p_noise": 1.5}, "p_noise is a number from 0 to 1; got 1.5. Change augment.p_noise"),
        ({"noise": -1}, "noise is a number of at least 0; got -1"),
        ({"noise": float("nan")}, "noise is a number of at least 0; got nan"),
        ({"noise": "much"}, "noise is a number of at least 0; got 'much'"),
        ({"low_resolution": 0.5}, "low_resolution is a number from 1 to 8; got 0.5"),
        ({"time_warp": 0.4}, "time_warp is a number from 0 to 0.1; got 0.4"),
        ({"flip_axes": 1}, "flip_axes is a list of spatial axes; got 1"),
        ({"flip_axes": [0, 0]}, r"flip_axes is different spatial axes, from 0; got \(0, 0\)"),
    ],
)
def test_bad_settings_are_refused_by_rule(values, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation.from_dict(values)


def test_wrong_shapes_are_refused_by_rule():
    with pytest.raises(ConfigError, match="spatial_dims is 1, 2 or 3; got 4"):
        default(4, "classify")
    with pytest.raises(ShapeError, match="1, 2 or 3 spatial axes, with one spacing per axis"):
        draw(Augmentation(), 2, (7, 9), 1, rng(), spacing=(1.0,))
    drawn = draw(Augmentation(), 2, (7, 9), 1, rng())
    with pytest.raises(ShapeError, match=r"images are \(2, 1, 7, 9\); got \(2, 1, 9, 7\)"):
        apply(torch.zeros(2, 1, 9, 7), None, drawn)
    with pytest.raises(ShapeError, match=r"label maps are \(2, 7, 9\); got \(2,\)"):
        apply(torch.zeros(2, 1, 7, 9), torch.zeros(2, dtype=torch.int64), drawn)
