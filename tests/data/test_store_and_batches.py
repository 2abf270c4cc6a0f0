from collections import Counter

import numpy as np
import pytest

from convivo.arrays.preparation import Preparation
from convivo.arrays.windows import window
from convivo.data.batches import Batches, class_weights, items_of, pad_to
from convivo.data.sample import Events, Sample
from convivo.data.store import Store, build_store, in_half

PLAIN = {"normalization": "none"}


def rng(seed=0):
    return np.random.default_rng(seed)


def loader(samples):
    return {sample.id: sample for sample in samples}.__getitem__


def store_of(images, targets):
    names = tuple(str(i) for i in range(len(images)))
    return Store(ids=names, units=names, images=images, targets=targets)


def numbered(n, shape=(7, 9), classes=2):
    """Images (n, 1, *shape) whose every value is their own number."""
    images = np.empty((n, 1, *shape), np.float32)
    images[:] = np.arange(n).reshape(n, *[1] * (len(shape) + 1))
    return store_of(images, [i % classes for i in range(n)])


def same(one, other):
    return one.images.tobytes() == other.images.tobytes() and (
        one.targets.tobytes() == other.targets.tobytes()
    )


# ---- the store


def test_store_keeps_order_and_units():
    samples = [
        Sample(id=f"c{i}", image=rng(i).normal(size=(2, 7, 9)), target=i % 2, unit=f"u{i // 2}")
        for i in range(6)
    ]
    names, done = ["c4", "c0", "c5"], []
    preparation = Preparation(spatial_dims=2, channels=2, **PLAIN)
    store = build_store(loader(samples), names, preparation, tick=done.append)
    assert (store.ids, store.units) == (("c4", "c0", "c5"), ("u2", "u0", "u2"))
    assert store.images.shape == (3, 2, 7, 9)
    assert store.images.dtype == np.float32
    assert np.allclose(store.images[1], samples[0].image)
    assert list(store.targets) == [0, 0, 1]
    assert (len(store), store.channels, done) == (3, 2, [1, 2, 3])


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("half", [True, False])
def test_values_may_be_kept_in_half_precision(alike, half):
    shapes = [(1, 7, 9), (1, 7, 9 if alike else 11)]
    samples = [
        Sample(id=str(i), image=rng(i).normal(size=shape), target=0)
        for i, shape in enumerate(shapes)
    ]
    preparation = Preparation(spatial_dims=2, channels=1, **PLAIN)
    store = build_store(loader(samples), "01", preparation, half=half)
    assert isinstance(store.images, np.ndarray) == alike == store.alike
    for image, sample in zip(store.images, samples, strict=True):
        assert image.dtype == (np.float16 if half else np.float32)
        assert np.allclose(image, sample.image, atol=2e-3)
    batch = Batches(store, size=(7, 9), batch=2, sampling="whole", seed=0) if alike else None
    assert batch is None or batch(0).images.dtype == np.float32


def test_many_normalized_values_are_kept_in_half_precision():
    shapes = [(1, 7, 9)] * 2
    zscore = Preparation(spatial_dims=2, channels=1)
    assert in_half(shapes, zscore, beyond=2 * 7 * 9 * 4 - 1)
    assert not in_half(shapes, zscore, beyond=2 * 7 * 9 * 4)
    plain = Preparation(spatial_dims=2, channels=1, **PLAIN)
    assert not in_half(shapes, plain, beyond=1)  # they may be of any size


def test_values_half_precision_cannot_hold_are_pulled_in():
    image = np.full((1, 7, 9), 70_000.0)
    preparation = Preparation(spatial_dims=2, channels=1, **PLAIN)
    store = build_store(lambda i: Sample(id=i, image=image), "a", preparation, half=True)
    assert (store.images == np.finfo(np.float16).max).all()


def test_moments_move_with_the_rate():
    record = np.zeros((2, 3600))
    positions = np.array([100, 1800, 3333])
    record[:, positions] = 1
    labels = np.array([0, -1, 2])
    sample = Sample(
        id="r", image=record, target=Events(positions=positions, labels=labels),
        spacing=(1 / 360,), spacing_unit="s",
    )  # fmt: skip
    preparation = Preparation(spatial_dims=1, channels=2, spacing=(1 / 250,), **PLAIN)
    store = build_store(loader([sample]), ["r"], preparation)
    moved = store.targets[0]
    assert store.images.shape == (1, 2, 2500)
    assert moved.positions.tolist() == [69, 1250, 2315]
    assert moved.positions.dtype == np.int64
    assert moved.labels.tolist() == labels.tolist()
    assert moved.stored.tolist() == positions.tolist()
    for place in moved.positions:  # the spike is where its moment says
        nearby = store.images[0, 0, place - 20 : place + 21]
        assert abs(int(nearby.argmax()) - 20) <= 1


@pytest.mark.parametrize(("top", "dtype"), [(2, np.uint8), (300, np.int16)])
def test_label_maps_turn_and_resample_with_the_image(top, dtype):
    image = np.zeros((1, 7, 9, 11), np.float32)
    image[0, 1:4, 2:8, 5:9] = top
    sample = Sample(id="v", image=image, target=image[0].astype(np.int64), affine=np.eye(4))
    flipped = np.diag([-2.0, 1.0, 1.0, 1.0])
    turned = Sample(id="w", image=image, target=image[0].astype(np.int64), affine=flipped)
    preparation = Preparation(spatial_dims=3, channels=1, orientation="RAS", **PLAIN)
    store = build_store(loader([sample, turned]), "vw", preparation)
    for image, target in zip(store.images, store.targets, strict=True):
        assert target.dtype == dtype
        assert np.array_equal(image[0], target)
    assert np.array_equal(store.targets[1], store.targets[0][::-1])


def test_class_index_may_be_a_numpy_integer():
    samples = [Sample(id=str(i), image=np.ones((1, 7, 9)), target=np.int64(i)) for i in range(2)]
    store = build_store(loader(samples), "01", Preparation(spatial_dims=2, channels=1, **PLAIN))
    assert [item.label for item in items_of(store)] == [0, 1]


# ---- which items


@pytest.mark.parametrize("sampling", ["whole", "window", "crop", "patch"])
def test_batch_is_a_function_of_seed_and_step_alone(sampling):
    def fresh(seed):
        if sampling == "patch":
            labels = [rng(i).integers(0, 3, (12, 14)).astype(np.uint8) for i in range(5)]
            store = store_of([rng(i).normal(size=(1, 12, 14)) for i in range(5)], labels)
            size = (7, 9)
        elif sampling == "window":
            events = [Events(positions=np.arange(9, 90, 9), labels=np.arange(9) % 2)]
            store, size = store_of([rng().normal(size=(2, 100))], events), (11,)
        else:
            images = rng().normal(size=(5, 2, 30)).astype(np.float32)
            store, size = store_of(images, [0, 1, 0, 1, 1]), (11,)
        return Batches(store, size=size, batch=3, sampling=sampling, seed=seed, balance=0.5)

    straight = fresh(1)
    forward = [straight(step) for step in range(8)]
    jumping = fresh(1)
    assert all(same(jumping(step), forward[step]) for step in (7, 0, 3, 6, 1, 3))
    assert not all(same(fresh(2)(step), forward[step]) for step in range(3))


@pytest.mark.parametrize("batch", [1, 4, 10, 23])
def test_each_item_is_seen_once_an_epoch(batch):
    batches = Batches(numbered(10), size=(7, 9), batch=batch, sampling="whole", seed=3)
    assert batches.items_per_epoch == 10
    assert batches.steps_per_epoch == max(1, -(-10 // batch))
    drawn = np.concatenate([batches(step).images[:, 0, 0, 0] for step in range(40)])
    epochs = drawn[: len(drawn) // 10 * 10].reshape(-1, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_images_keep_their_own_targets():
    batches = Batches(numbered(10, classes=3), size=(7, 9), batch=4, sampling="whole", seed=0)
    for step in range(5):
        batch = batches(step)
        assert batch.targets.dtype == np.int64
        assert (batch.images[:, 0, 0, 0] % 3 == batch.targets).all()


def shares(balance):
    images = np.zeros((100, 1, 2, 2), np.float32)
    store = store_of(images, [0] * 90 + [1] * 10)
    batches = Batches(store, size=(2, 2), batch=50, sampling="whole", seed=0, balance=balance)
    return np.mean([batches(step).targets.mean() for step in range(60)])


def test_balance_draws_rare_classes_more():
    assert shares(0.0) == pytest.approx(0.1)
    assert shares(0.5) == pytest.approx(0.25, abs=0.03)  # sqrt(10) : sqrt(90)
    assert shares(1.0) == pytest.approx(0.5, abs=0.03)


def test_moments_are_drawn_by_class_and_record():
    records = [np.repeat([0, 1], [81, 9]), np.repeat([0, 1], [9, 1])]
    events = [Events(positions=np.arange(len(row)), labels=row) for row in records]
    store = store_of([np.zeros((1, 100), np.float32) for _ in records], events)
    drawn = Batches(store, size=(4,), batch=1, sampling="window", seed=0, balance=0.5)
    cases, labels = drawn.items.cases, drawn.items.labels
    share = [drawn.weights[(cases == c) & (labels == k)].sum() for c in (0, 1) for k in (0, 1)]
    assert share == pytest.approx([9 / 16, 3 / 16, 3 / 16, 1 / 16])


def test_weights_are_probabilities_and_none_without_classes():
    weights = class_weights(np.array([0, 0, 0, 2]), 1.0)
    assert weights == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert class_weights(np.array([0, 1]), 0.0) is None
    assert class_weights(np.array([-1, -1]), 1.0) is None
    assert class_weights(np.array([], int), 1.0) is None


def test_moments_without_a_class_are_never_drawn():
    labels = np.array([1, -1, 0, -1])
    events = Events(positions=np.array([10, 20, 30, 40]), labels=labels)
    store = store_of([np.zeros((1, 50)), np.zeros((1, 60))], [events, events])
    found = [(item.case, item.position, item.label) for item in items_of(store)]
    assert found == [(0, 10, 1), (0, 30, 0), (1, 10, 1), (1, 30, 0)]


# ---- windows and crops


def test_window_past_the_edges_is_zeros():
    image = np.arange(1.0, 11.0)[None]
    assert window(image, 2, 4).tolist() == [[3, 4, 5, 6]]
    assert window(image, -2, 4).tolist() == [[0, 0, 1, 2]]
    assert window(image, 8, 4).tolist() == [[9, 10, 0, 0]]
    assert window(image, -2, 14).tolist() == [[0, 0, *range(1, 11), 0, 0]]
    for start in (-20, -4, 10, 50):
        assert window(image, start, 4).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(("before", "place"), [(0.5, 5), (0.3, 3), (0.0, 0)])
def test_moment_lies_at_its_share_of_the_window(before, place):
    positions = np.array([0, 3, 40, 98, 99])
    record = np.zeros((2, 100))
    record[0, positions] = 1 + np.arange(5)
    events = Events(positions=positions, labels=np.arange(5))
    batches = Batches(
        store_of([record], [events]), size=(10,), batch=5, sampling="window", seed=0, before=before
    )
    batch = batches(0)
    assert batch.images.shape == (5, 2, 10)
    assert batch.images.dtype == np.float32
    assert (batch.images[:, 0, place] == batch.targets + 1).all()
    assert sorted(batch.targets) == [0, 1, 2, 3, 4]


def test_crops_lie_inside_and_everywhere():
    store = store_of([np.arange(1.0, 21.0)[None]], [1])
    batches = Batches(store, size=(8,), batch=16, sampling="crop", seed=0)
    starts = Counter()
    for step in range(30):
        for image in batches(step).images:
            assert (np.diff(image[0]) == 1).all()
            starts[int(image[0, 0])] += 1
    assert set(starts) == set(range(1, 14))


def test_shorter_signal_is_centred_in_its_crop():
    store = store_of([np.array([[1.0, 2, 3]]), np.arange(1.0, 9.0)[None]], [0, 1])
    batch = Batches(store, size=(8,), batch=2, sampling="crop", seed=0)(0)
    rows = {int(y): image[0].tolist() for image, y in zip(batch.images, batch.targets, strict=True)}
    assert rows == {0: [0, 0, 0, 1, 2, 3, 0, 0], 1: list(range(1, 9))}


# ---- patches


def volume_store(shapes=((12, 14, 16), (13, 9, 20))):
    """Every voxel says where it is; a single voxel of class 1, a block of class 2."""
    images, maps = [], []
    for shape in shapes:
        images.append(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(float))
        labels = np.zeros(shape, np.uint8)
        labels[2, 3, 4] = 1
        labels[7:9, 5:8, 10:14] = 2
        maps.append(labels)
    return store_of(images, maps)


def test_patches_lie_inside_and_labels_go_with_them():
    store, size = volume_store(), (7, 9, 11)
    batches = Batches(store, size=size, batch=4, sampling="patch", seed=0, foreground=0.5)
    for step in range(20):
        batch = batches(step)
        assert batch.images.shape == (4, 3, *size)
        assert batch.targets.shape == (4, *size)
        assert batch.targets.dtype == np.uint8
        for image, labels in zip(batch.images, batch.targets, strict=True):
            places = image.astype(int)
            assert (np.diff(places[0], axis=0) == 1).all()  # no edge was repeated
            assert (np.diff(places[2], axis=2) == 1).all()
            assert any(
                (places.reshape(3, -1).max(1) < target.shape).all()
                and np.array_equal(target[tuple(places)], labels)
                for target in store.targets
            )


def test_patches_reach_every_corner():
    store = volume_store(((9, 10, 16),))
    batches = Batches(store, size=(7, 9, 11), batch=8, sampling="patch", seed=0, foreground=0)
    corners = {tuple(image[:, 0, 0, 0]) for step in range(60) for image in batches(step).images}
    assert corners == {(a, b, c) for a in range(3) for b in range(2) for c in range(6)}


def test_share_of_patches_on_the_foreground():
    labels = np.zeros((200, 200), np.uint8)
    labels[10, 10], labels[150:170, 100:120] = 1, 2
    store = store_of([labels[None].astype(float)], [labels])

    def centres(foreground):
        batches = Batches(
            store, size=(5, 7), batch=20, sampling="patch", seed=0, foreground=foreground
        )
        drawn = np.concatenate([batches(step).targets[:, 2, 3] for step in range(30)])
        return np.bincount(drawn, minlength=3) / len(drawn)

    assert centres(1.0)[0] == 0
    assert centres(1.0)[1] == pytest.approx(0.5, abs=0.06)  # classes equally often, however small
    assert centres(0.3)[1:].sum() == pytest.approx(0.3, abs=0.06)
    assert centres(0.0)[1:].sum() < 0.05


def test_foreground_at_the_edge_is_in_the_patch_though_not_at_its_centre():
    labels = np.zeros((20, 21), np.uint8)
    labels[0, 20] = 1
    store = store_of([labels[None].astype(float)], [labels])
    batches = Batches(store, size=(7, 9), batch=4, sampling="patch", seed=0, foreground=1)
    assert (batches(0).targets.reshape(4, -1).sum(1) == 1).all()


def test_case_without_foreground_is_still_drawn():
    store = store_of([np.zeros((1, 20, 21))], [np.zeros((20, 21), np.uint8)])
    batches = Batches(store, size=(7, 9), batch=2, sampling="patch", seed=0, foreground=1)
    assert batches(0).images.shape == (2, 1, 7, 9)


def test_smaller_image_is_padded_by_its_edge_on_both_sides():
    image = np.arange(1.0, 13.0).reshape(1, 3, 4)
    labels = (image[0] > 6).astype(np.uint8)
    batches = Batches(store_of([image], [labels]), size=(6, 4), batch=1, sampling="patch", seed=0)
    batch = batches(0)
    rows = [0, 0, 1, 2, 2, 2]
    assert np.array_equal(batch.images[0], image[:, rows])
    assert np.array_equal(batch.targets[0], labels[rows])


def test_padding_leaves_large_enough_axes_alone():
    array = rng().normal(size=(2, 7, 9))
    assert pad_to(array, (7, 4)) is array
    assert pad_to(array, (8, 12)).shape == (2, 8, 12)


def test_an_epoch_of_patches_looks_at_every_voxel_once_on_average():
    store = volume_store(((12, 14, 16), (12, 14, 16)))
    batches = Batches(store, size=(6, 7, 8), batch=3, sampling="patch", seed=0)
    assert batches.items_per_epoch == 16
    assert batches.steps_per_epoch == 6


def test_patches_need_label_maps():
    batches = Batches(numbered(3), size=(4, 4), batch=1, sampling="patch", seed=0)
    with pytest.raises(TypeError, match="patches are drawn from label maps"):
        batches(0)
