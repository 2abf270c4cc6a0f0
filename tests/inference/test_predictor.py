import numpy as np
import pytest
import torch
from torch import nn

from convivo.arrays.windows import window
from convivo.data.batches import Batches
from convivo.data.sample import Events
from convivo.data.store import Store
from convivo.inference.predictor import Predictor
from convivo.tasks.classify import Classify
from convivo.tasks.segment import Segment

CLASSES = ("a", "b", "c")
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def rng(seed=0):
    return np.random.default_rng(seed)


def classifier(length=12, channels=2):
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv1d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (length - 2), 3)
    ).eval()


def mapper(dims, kernel=3):
    torch.manual_seed(4)
    conv = CONV[dims]
    return nn.Sequential(
        conv(2, 4, kernel, padding=kernel // 2), nn.ReLU(), conv(4, 3, kernel, padding=kernel // 2)
    ).eval()


def direct(network, images):
    """Softmax of the network's answer, without any of the predictor's machinery."""
    with torch.no_grad():
        return network(torch.tensor(np.asarray(images), dtype=torch.float32)).softmax(1).numpy()


def table(network, sampling, length=12, **more):
    task = Classify(classes=CLASSES)
    return Predictor(network=network, task=task, sampling=sampling, size=(length,), **more)


def maps(network, size, **more):
    task = Segment(classes=CLASSES)
    return Predictor(network=network, task=task, sampling="patch", size=size, **more)


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_rows_do_not_depend_on_the_batch(batch):
    network, images = classifier(), rng().normal(size=(9, 2, 12))
    rows = table(network, "whole", batch=batch).run(images)
    assert rows.shape == (9, 3)
    assert rows.dtype == np.float32
    assert np.allclose(rows, direct(network, images), atol=1e-6)


def test_whole_case_is_one_row():
    network, image = classifier(), rng().normal(size=(2, 12)).astype(np.float16)
    row = table(network, "whole").case(image)
    assert np.allclose(row, direct(network, image[None]), atol=1e-6)


@pytest.mark.parametrize("before", [0.5, 0.25])
def test_windows_are_those_around_each_moment_zeros_past_the_ends(before):
    network, image = classifier(), rng().normal(size=(2, 100))
    positions = np.array([0, 5, 50, 99, 99])
    padded = np.pad(image, [(0, 0), (12, 12)])
    starts = positions - round(before * 12) + 12
    cuts = [padded[:, start : start + 12] for start in starts]
    predictor = table(network, "window", before=before, batch=2)
    expected = direct(network, cuts)
    assert np.allclose(predictor.windows(image, positions), expected, atol=1e-6)
    events = Events(positions=positions, labels=np.zeros(5, int))
    assert np.allclose(predictor.case(image, events), expected, atol=1e-6)


def test_record_without_moments_has_no_rows():
    assert table(classifier(), "window").windows(np.zeros((2, 100)), []).shape == (0, 3)


def test_many_windows_come_in_order():
    network, image = classifier(), rng().normal(size=(2, 3000))
    positions = rng(1).permutation(3000)[:2500]
    rows = table(network, "window", batch=100).windows(image, positions)
    some = [0, 1023, 1024, 2047, 2048, 2499]
    cuts = [window(image, int(positions[i]) - 6, 12) for i in some]
    assert np.allclose(rows[some], direct(network, cuts), atol=1e-6)


@pytest.mark.parametrize(("reference", "rhythm"), [(False, False), (True, False), (True, True)])
def test_predictor_sees_the_windows_that_training_saw(reference, rhythm):
    image, positions = rng().normal(size=(2, 100)), np.arange(0, 100, 7)
    events = Events(positions=positions, labels=np.arange(len(positions)))
    store = Store(ids=("r",), units=("r",), images=[image], targets=[events])
    batches = Batches(
        store, size=(12,), batch=len(positions), sampling="window", seed=0, before=0.3,
        reference=reference, rhythm=rhythm,
    )  # fmt: skip
    batch = batches(0)
    network = classifier(channels=2 + 2 * reference + 2 * rhythm)
    predictor = table(network, "window", before=0.3, reference=reference, rhythm=rhythm)
    rows = predictor.windows(image, positions)
    assert np.allclose(rows[batch.targets], direct(network, batch.images), atol=1e-6)
    assert predictor.item(image.shape) == batch.images.shape[1:]
    assert predictor.cut(image, positions).shape == batch.images.shape
    assert predictor.cut(image, []).shape == (0, *batch.images.shape[1:])


def test_the_rhythm_lies_beside_each_window_whatever_the_order():
    """Beats every 20 samples, one 10 early: it is told, and so is the pause that follows."""
    positions = np.array([0, 20, 40, 50, 80, 100])
    image = np.zeros((1, 120), np.float32)
    for order in (np.arange(6), rng().permutation(6)):
        cuts = table(classifier(), "window", 6, rhythm=True).cut(image, positions[order])
        assert cuts.shape == (6, 3, 6)
        assert (cuts == cuts[..., :1]).all()
        told = cuts[np.argsort(order), 1:, 0]
        longer = np.float32(4 * np.log2(1.5))
        assert told.tolist() == [[0, 0], [0, 0], [0, -4], [-4, longer], [longer, 0], [0, 0]]


def test_what_is_unusual_lies_beside_each_window():
    """A shape that comes every 20 samples, once another: beside it stands how it differs."""
    beat = np.array([0.0, 1, 3, 1, 0, 0])
    image = np.tile(np.pad(beat, (0, 14)), 9)[None].astype(np.float32)
    image[0, 80:86] *= -2
    positions = np.arange(2, 180, 20)
    cuts = table(classifier(), "window", 6, before=0.34, reference=True).cut(image, positions)
    assert (cuts[4] == [-2 * beat, -3 * beat]).all()
    assert (cuts[3] == [beat, 0 * beat]).all()


@pytest.mark.parametrize(
    ("length", "starts"),
    [(12, [0]), (13, [0, 1]), (18, [0, 6]), (24, [0, 6, 12]), (25, [0, 4, 9, 13])],
)
def test_crops_cover_the_signal_half_overlapping(length, starts):
    network, image = classifier(), rng().normal(size=(2, length))
    expected = direct(network, [image[:, s : s + 12] for s in starts]).mean(0, keepdims=True)
    predictor = table(network, "crop")
    assert np.allclose(predictor.crops(image), expected, atol=1e-6)
    assert np.allclose(predictor.case(image), expected, atol=1e-6)


def test_crop_of_a_shorter_signal_is_centred_in_zeros():
    network, image = classifier(), rng().normal(size=(2, 7))
    expected = direct(network, [np.pad(image, [(0, 0), (3, 2)])])
    assert np.allclose(table(network, "crop").case(image), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(40,), (24, 32), (16, 12, 20)])
def test_image_of_a_few_tiles_is_predicted_in_one_piece(shape):
    dims = len(shape)
    network, image = mapper(dims), rng().normal(size=(2, *shape))
    size = {1: (20,), 2: (12, 16), 3: (12, 12, 20)}[dims]
    predictor = maps(network, size, multiple=(4,) * dims)
    assert np.allclose(predictor.case(image), direct(network, image[None])[0], atol=1e-5)


@pytest.mark.parametrize("shape", [(61,), (33, 45), (17, 21, 23)])
def test_tiles_of_a_pointwise_network_blend_to_the_whole(shape):
    network, image = mapper(len(shape), kernel=1), rng().normal(size=(2, *shape))
    for multiple in (None, (4,) * len(shape)):
        for overlap in (0.0, 0.5):
            predictor = maps(network, (8,) * len(shape), multiple=multiple, overlap=overlap)
            found = predictor.map(image)
            assert found.shape == (3, *shape)
            assert found.dtype == np.float32
            assert np.allclose(found, direct(network, image[None])[0], atol=1e-5)


@pytest.mark.parametrize(("shape", "size"), [((90,), (16,)), ((50, 62), (16, 20))])
def test_tiled_and_whole_agree_away_from_the_border(shape, size):
    """Tiles see zeros past their borders, where the network would have seen the image."""
    dims = len(shape)
    network, image = mapper(dims), rng().normal(size=(2, *shape))
    tiled = maps(network, size, multiple=(2,) * dims, overlap=0.5).map(image)
    whole = direct(network, image[None])[0]
    inside = (slice(None), *[slice(4, -4)] * dims)
    assert np.abs(tiled - whole)[inside].max() < 0.02
    assert not np.array_equal(tiled, whole)
    assert np.allclose(tiled.sum(0), 1, atol=1e-5)


def test_smaller_image_comes_back_in_its_own_size():
    network, image = mapper(3), rng().normal(size=(2, 7, 9, 11))
    for multiple in (None, (8, 8, 8)):
        found = maps(network, (16, 16, 16), multiple=multiple).map(image)
        assert found.shape == (3, 7, 9, 11)
        inside = (0, *[slice(2, -2)] * 3)  # padding is mirrored, so only the rim may differ
        assert np.allclose(found[inside], direct(network, image[None])[0][inside], atol=1e-5)


def test_bfloat16_answers_in_float32_and_close():
    network, images = classifier(), rng().normal(size=(9, 2, 12))
    rows = table(network, "whole", precision="bf16").run(images)
    assert rows.dtype == np.float32
    assert np.allclose(rows.sum(1), 1, atol=1e-6)
    exact = direct(network, images)
    assert np.allclose(rows, exact, atol=0.03)
    assert not np.array_equal(rows, exact)


def test_predicting_leaves_no_gradients():
    network = classifier()
    table(network, "whole").run(rng().normal(size=(2, 2, 12)))
    assert all(p.grad is None for p in network.parameters())
