"""What holds for every draw of bends, crops, fields, boxes and mixtures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from convivo.data.augment import Augmentation, apply, default, draw, mixed
from convivo.data.augment.lattice import cubic_basis, cubic_places, intervals_of, spread
from convivo.data.augment.sampling import interpolated, nearest
from convivo.data.augment.settings import LARGE
from convivo.data.augment.softness import axis_matrices, soften
from convivo.data.augment.spatial import places
from convivo.errors import ConfigError

SHAPES = [(60,), (27, 33), (17, 19, 23)]
PICTURES = SHAPES[1:]
BENDING = Augmentation(elastic=0.4, p_elastic=1.0)
EVERYTHING = {
    "elastic": 0.3, "p_elastic": 1.0, "crop": 0.3, "p_crop": 1.0, "bias": 0.4, "p_bias": 1.0,
    "cutout": 0.4, "p_cutout": 1.0, "mixup": 1.0, "p_mixup": 1.0,
}  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def noise(shape, n=6, channels=2):
    return torch.from_numpy(rng(1).normal(size=(n, channels, *shape)).astype(np.float32))


def where(how, shape, n=6, spacing=None):
    """(N, d, *S) displacement of each sample, in samples."""
    drawn = draw(how, n, shape, 1, rng(), spacing=spacing).place
    own = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    return places(drawn, shape, "cpu").numpy() - own


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_new_is_off_by_default_and_replays_to_the_same_bits(shape):
    how = default(len(shape), "classify")
    assert not any(getattr(how, name) for name in EVERYTHING)
    images, labels = noise(shape), torch.from_numpy(rng(2).integers(0, 3, (6, *shape)))
    whole = Augmentation.from_dict(how.to_dict() | EVERYTHING)
    results = []
    for _ in range(2):
        drawn = draw(whole, 6, shape, 2, rng(3))
        results += [apply(images, labels, drawn), apply(images, labels, drawn)]
    for image, label in results[1:]:
        assert torch.equal(image, results[0][0])
        assert torch.equal(label, results[0][1])


@pytest.mark.parametrize("shape", SHAPES)
def test_new_changes_leave_the_draws_of_the_others_alone(shape):
    """A run with cutout sees the same turns, noise and curves as one without."""
    how = default(len(shape), "classify")
    more = Augmentation.from_dict(how.to_dict() | {"cutout": 0.4, "p_cutout": 1.0})
    one, other = (draw(h, 6, shape, 2, rng(3)) for h in (how, more))
    blank = replace(other, cutout=one.cutout)
    images = noise(shape)
    assert torch.equal(apply(images, None, one)[0], apply(images, None, blank)[0])


@given(size=st.integers(2, 40), intervals=st.integers(1, 9))
def test_shares_of_control_points_are_positive_and_add_up_to_one(size, intervals):
    basis = cubic_basis(size, intervals)
    assert (basis >= 0).all()
    np.testing.assert_allclose(basis.sum(1), 1, rtol=1e-6)
    middle = (np.arange(size) + 0.5) / size
    np.testing.assert_allclose(basis @ cubic_places(intervals), middle, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_field_is_spread_axis_by_axis(shape):
    bases = [cubic_basis(n, 2 + k) for k, n in enumerate(shape)]
    points = rng().normal(size=(2, *(b.shape[1] for b in bases), 3)).astype(np.float32)
    field = spread(torch.from_numpy(points), bases).numpy()
    wanted = points
    for axis, basis in enumerate(bases):
        wanted = np.moveaxis(np.tensordot(basis, wanted, axes=(1, axis + 1)), 0, axis + 1)
    np.testing.assert_allclose(field, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", PICTURES)
def test_bends_are_bounded_smooth_and_never_fold(shape):
    shift = where(BENDING, shape)
    counts = intervals_of(np.asarray(shape, float), BENDING.elastic_points)
    for axis, (size, count) in enumerate(zip(shape, counts, strict=True)):
        reach = 0.4 * size / count
        assert 0.1 * reach < np.abs(shift[:, axis]).max() <= reach
        for along in range(len(shape)):  # the second difference of a spline of that reach
            knot = shape[along] / counts[along]
            bound = 4 * reach / knot**2
            assert np.abs(np.diff(shift[:, axis], n=2, axis=1 + along)).max() <= bound * 1.01
    axes = tuple(range(2, 2 + len(shape)))
    slopes = np.stack(np.gradient(shift, axis=axes), axis=-1)
    jacobian = np.moveaxis(slopes, 1, -2) + np.eye(len(shape))
    assert np.linalg.det(jacobian).min() > 0


def test_bends_are_alike_in_millimetres_and_smaller_across_coarse_axes():
    spacing, shape = (0.5, 1.0, 4.0), (40, 20, 5)
    shift = where(BENDING, shape, n=40, spacing=spacing)
    reach = np.abs(shift).max(axis=(0, 2, 3, 4)) * np.asarray(spacing)
    assert 0.8 < reach[0] / (2 * reach[1]) < 1.25
    assert reach[2] < 0.3 * reach[0]


@pytest.mark.parametrize("shape", PICTURES)
def test_turns_and_bends_are_one_resampling(shape):
    """Against SciPy's interpolation at the same places; labels by the nearest of them."""
    how = Augmentation.from_dict(
        BENDING.to_dict() | {"rotate_deg": 20, "scale": 0.2, "shift": 0.1, "p_spatial": 1.0}
    )
    images, labels = noise(shape, 3, 1), torch.from_numpy(rng(2).integers(0, 3, (3, *shape)))
    drawn = draw(how, 3, shape, 1, rng())
    moved, targets = apply(images, labels, drawn)
    at = places(drawn.place, shape, "cpu").numpy()
    for item in range(3):
        wanted = map_coordinates(images[item, 0].numpy(), at[item], order=1, mode="nearest")
        np.testing.assert_allclose(moved[item, 0], wanted, atol=2e-3)
        rounded = [np.clip(np.rint(p), 0, n - 1) for p, n in zip(at[item], shape, strict=True)]
        wanted = labels[item].numpy()[tuple(p.astype(int) for p in rounded)]
        assert (targets[item].numpy() != wanted).mean() < 1e-3


@pytest.mark.parametrize("shape", PICTURES)
def test_resampling_is_that_of_torch(shape):
    """Inside and beyond the border, several channels; the nearest as `grid_sample` finds it."""
    values, dims = noise(shape, 2, 3), len(shape)
    sizes = torch.tensor(shape).reshape(1, dims, *[1] * dims)
    at = (torch.from_numpy(rng(4).random((2, dims, *shape))).float() * 1.4 - 0.2) * sizes
    grid = ((at + 0.5) * 2 / sizes - 1).flip(1).movedim(1, -1)
    like = {"padding_mode": "border", "align_corners": False}
    wanted = F.grid_sample(values, grid, mode="bilinear", **like)
    np.testing.assert_allclose(interpolated(values, at.clone()), wanted, atol=2e-3)
    labels = torch.from_numpy(rng(2).integers(0, 9, (2, *shape)))
    wanted = F.grid_sample(labels.unsqueeze(1).float(), grid, mode="nearest", **like)[:, 0]
    found = nearest(labels, at)
    assert (found != wanted).float().mean() < 1e-3
    for item in range(2):  # alone, and in a byte a place
        one = slice(item, item + 1)
        assert torch.equal(nearest(labels[one], at[one]), found[one])
        assert torch.equal(nearest(labels[one].to(torch.uint8), at[one]), found[one].byte())


def test_labels_of_more_places_than_float32_can_number_are_found():
    size = 2**24 + 3
    labels = torch.zeros(1, size, dtype=torch.uint8)
    labels[0, 1], labels[0, -2] = 1, 2
    at = torch.zeros(1, 1, size)
    at[0, 0, :2] = torch.tensor([1.0, size + 5.0])
    labels[0, -1] = 3  # beyond the border counts as on it
    found = nearest(labels, at)
    assert found[0, :3].tolist() == [1, 3, 0]


@pytest.mark.parametrize("shape", PICTURES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16])
def test_label_maps_in_their_stored_format_move_as_int64_ones_do(shape, dtype):
    images, labels = noise(shape), torch.from_numpy(rng(2).integers(0, 3, (6, *shape)))
    how = default(len(shape), "segment", True).to_dict() | {"p_spatial": 0.5}
    for rule in ("nearest", "linear"):
        drawn = draw(Augmentation.from_dict(how | {"labels": rule}), 6, shape, 2, rng(3))
        moved, kept = apply(images, labels, drawn)[1], apply(images, labels.to(dtype), drawn)[1]
        assert kept.dtype == torch.int64
        assert torch.equal(kept, moved)


@pytest.mark.parametrize("shape", PICTURES)
@pytest.mark.parametrize("flips", [(), (0, 1)])
def test_linear_labels_move_with_the_images_and_bend_less_at_borders(shape, flips):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    mask = sum((x - 0.1) ** 2 for x in axes) < 0.4
    labels = torch.from_numpy(np.repeat(mask[None], 6, axis=0).astype(np.int64)) * 2
    how = {"rotate_deg": 20.0, "p_spatial": 1.0, "flip_axes": flips, "elastic": 0.3}
    how = Augmentation(**how, p_elastic=1.0, labels="linear")
    images, targets = apply(
        (labels == 2).unsqueeze(1).float(), labels, draw(how, 6, shape, 1, rng())
    )
    assert set(targets.unique().tolist()) == {0, 2}
    assert torch.equal(targets == 2, images[:, 0] > 0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_crop_stays_within_the_picture_and_fills_it(shape):
    ramps = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    images = torch.from_numpy(np.repeat(ramps[None], 24, axis=0))
    how = Augmentation(crop=0.5, p_crop=1.0)
    result = apply(images, None, draw(how, 24, shape, len(shape), rng()))[0].numpy()
    seen = []
    for axis, size in enumerate(shape):
        values = np.moveaxis(result[:, axis], 1 + axis, 1).reshape(24, size, -1)[..., 0]
        assert values.min() >= 0
        assert values.max() <= size - 1
        seen.append((values[:, -1] - values[:, 0]) / (size - 1))
    shares = np.stack(seen)
    assert 0.49 < shares.min() < 0.7
    assert shares.max() <= 1.02
    np.testing.assert_allclose(shares[0], shares[-1], atol=0.03)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bias_field_is_smooth_and_keeps_black_black(shape):
    images = noise(shape).abs() + 1
    images[..., 0] = 0.25
    result = apply(images, None, draw(Augmentation(bias=0.5, p_bias=1.0), 6, shape, 2, rng()))[0]
    np.testing.assert_allclose(result[..., 0], 0.25, atol=1e-6)
    factor = ((result - 0.25) / (images - 0.25))[..., 1:]
    assert factor.min() > 1 / 1.5 - 1e-4
    assert factor.max() < 1.5 + 1e-4
    np.testing.assert_allclose(factor[:, 0], factor[:, 1], rtol=1e-4)  # one field for all channels
    for axis in range(2, factor.ndim):
        assert factor.diff(dim=axis).abs().max() < 4 / shape[axis - 2]
    assert factor.std() > 0.02


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_is_cut_out_of_the_image_alone(shape):
    images, labels = noise(shape, 24) + 9, torch.ones(24, *shape, dtype=torch.int64)
    how = Augmentation(cutout=0.5, p_cutout=1.0)
    result, targets = apply(images, labels, draw(how, 24, shape, 2, rng()))
    assert torch.equal(targets, labels)
    gone = result == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    assert torch.equal(result[~gone], images[~gone])
    for item in gone[:, 0].numpy():
        sides = [np.flatnonzero(item.any(axis=tuple(set(range(item.ndim)) - {axis})))
                 for axis in range(item.ndim)]  # fmt: skip
        assert all(1 <= len(s) <= 0.5 * n + 1 for s, n in zip(sides, shape, strict=True))
        assert item.sum() == np.prod([s[-1] - s[0] + 1 for s in sides])


@pytest.mark.parametrize("shape", SHAPES)
def test_mixtures_have_the_classes_of_their_parts(shape):
    images, classes = noise(shape, 16), torch.arange(16) % 5
    how = Augmentation(mixup=0.4, p_mixup=0.7)
    drawn = draw(how, 16, shape, 2, rng())
    result = apply(images, None, drawn)[0]
    share = torch.from_numpy(drawn.mixup.share)
    assert 0.5 <= share.min() < 0.9
    assert 0 < int((share == 1).sum()) < 16
    lead = share.reshape(-1, *[1] * (images.ndim - 1))
    wanted = lead * images + (1 - lead) * images[torch.from_numpy(drawn.mixup.partner)]
    torch.testing.assert_close(result, wanted)
    assert torch.equal(result[share == 1], images[share == 1])
    targets = mixed(classes, drawn.mixup, 5)
    torch.testing.assert_close(targets.sum(1), torch.ones(16))
    own = targets[torch.arange(16), classes]
    assert (own >= share - 1e-6).all()
    logits = torch.from_numpy(rng(5).normal(size=(16, 5)).astype(np.float32))
    parts = F.cross_entropy(logits, classes, reduction="none")
    other = F.cross_entropy(logits, classes[drawn.mixup.partner], reduction="none")
    whole = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(whole, share * parts + (1 - share) * other)
    maps = torch.from_numpy(rng(6).integers(0, 3, (16, *shape)))
    assert mixed(maps, drawn.mixup, 3).shape == (16, 3, *shape)


@pytest.mark.parametrize("shape", [(700,), (40, 27), (17, 19, 23), (400, 9)])
def test_softening_is_a_blur_and_torchs_own_coarsening(shape):
    """Long axes tap by tap, short ones as a matrix: both against plain convolution."""
    dims, values = len(shape), noise(shape, 2, 3)
    blur = np.array([[0.8] * dims, [1.4] * dims], np.float32)
    shrink = np.array([[1.0] * dims, [1.7] * dims], np.float32)
    result = soften(values, blur, shrink)
    assert result.shape == values.shape
    for item in range(2):
        wanted = values[item]
        for axis, size in enumerate(shape):
            rows = wanted.movedim(axis + 1, -1)
            taps = torch.arange(-4, 5)
            weights = torch.exp(-0.5 * (taps / float(blur[item, axis])) ** 2)
            place = (torch.arange(size)[:, None] + taps).clamp(0, size - 1)
            rows = (rows[..., place] * (weights / weights.sum())).sum(-1)
            small = round(size / float(shrink[item, axis]))
            flat = F.interpolate(rows.reshape(1, -1, size), small, mode="area")
            flat = F.interpolate(flat, size, mode="linear", align_corners=False)
            wanted = (flat if small < size else rows).reshape(rows.shape).movedim(-1, axis + 1)
        np.testing.assert_allclose(result[item], wanted, atol=2e-2)
    assert axis_matrices(30, blur[:, 0], shrink[:, 0]).sum(-1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(4000,), (64, 70), (30, 40, 50)])
def test_noise_is_normal_and_of_its_deviation(shape):
    drawn = draw(Augmentation(noise=0.5, p_noise=1.0), 4, shape, 1, rng())
    field = apply(torch.zeros(4, 1, *shape), None, drawn)[0].flatten(1) / torch.from_numpy(
        drawn.intensity.noise
    ).unsqueeze(1)
    few = 5 / field.shape[1] ** 0.5
    assert field.mean(1).abs().max() < few
    assert (field.var(1) - 1).abs().max() < few * 2**0.5
    assert (field.pow(4).mean(1) - 3).abs().max() < few * 96**0.5
    assert torch.corrcoef(field).fill_diagonal_(0).abs().max() < few


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"elastic": 0.5}, "elastic is a number from 0 to 0.4; got 0.5"),
        ({"elastic_points": 0}, "elastic_points is a whole number from 1 to 32; got 0"),
        ({"labels": "cubic"}, "labels is 'nearest' or 'linear'; got 'cubic'"),
        ({"crop": 0.95}, "crop is a number from 0 to 0.9; got 0.95"),
        ({"cutout": 1.5}, "cutout is a number from 0 to 1; got 1.5"),
    ],
)
def test_bad_settings_are_refused_by_rule(values, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation.from_dict(values)


def test_large_items_are_altered_as_small_ones():
    """One after the other where they lie, or all at once in a copy: the same items come out."""
    small, large = (8, 9), (8 * 24, 9 * 24)
    how = Augmentation(
        flip_axes=(0, 1),
        gain=0.3,
        p_gain=0.5,
        brightness=0.3,
        p_brightness=0.5,
        gamma=0.4,
        p_gamma=0.5,
    )
    images = noise(small, 12, 1)
    labels = torch.from_numpy(rng(2).integers(0, 3, (12, *small)))
    wide = images.repeat_interleave(24, 2).repeat_interleave(24, 3)
    maps = labels.repeat_interleave(24, 1).repeat_interleave(24, 2)
    assert images[0].numel() < LARGE < wide[0].numel()
    drawn = draw(how, 12, small, 1, rng())
    one, one_map = apply(images, labels, drawn)
    other, other_map = apply(wide, maps, replace(drawn, shape=large))
    torch.testing.assert_close(other[..., ::24, ::24], one, rtol=1e-5, atol=1e-5)
    assert torch.equal(other_map[..., ::24, ::24], one_map)
