"""Where memory runs out, passes get smaller, and the answers stay."""

import numpy as np
import pytest
import torch
from torch import nn

from convivo.errors import PlanError
from convivo.inference.predictor import Predictor
from convivo.inference.room import Room
from convivo.inference.tiles import Tiles
from convivo.shortage import is_shortage
from convivo.tasks.classify import Classify
from convivo.tasks.segment import Segment

CLASSES = ("a", "b", "c")


class Tight(nn.Module):
    """Fails for inputs of more values than it holds, as torch does."""

    def __init__(self, holds: int, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0, 0.5]))
        self.holds, self.error, self.seen = holds, error, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.numel() > self.holds:
            raise self.error
        self.seen.append(tuple(images.shape))
        weight = self.weight.reshape(1, 3, *[1] * (images.dim() - 2))
        return (images[:, :1] * weight).sin()


class Mean(Tight):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).flatten(2).mean(2)


ERRORS = [
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    MemoryError("Unable to allocate 8 bytes"),
    torch.OutOfMemoryError("CUDA out of memory."),
    OSError(12, "Cannot allocate memory"),
]


def mapper(holds: int, dims: int, error: Exception = ERRORS[0], **more) -> Predictor:
    return Predictor(
        network=Tight(holds, error).eval(), task=Segment(classes=CLASSES), sampling="patch",
        size=(16,) * dims, multiple=(4,) * dims, **{"batch": 8} | more,
    )  # fmt: skip


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)


@pytest.mark.parametrize("error", ERRORS)
def test_all_kinds_of_shortage_are_known(error: Exception) -> None:
    assert is_shortage(error)


@pytest.mark.parametrize("error", [RuntimeError("bad shape"), OSError(2, "no"), KeyError("x")])
def test_other_errors_are_none(error: Exception) -> None:
    assert not is_shortage(error)


@pytest.mark.parametrize("error", ERRORS[:5])
def test_fewer_items_give_the_same_rows_and_say_so(error: Exception) -> None:
    said: list[str] = []
    network, images = Mean(3 * 40, error).eval(), noise((40,)).repeat(11, 0)[:, None]
    images += np.arange(11, dtype=np.float32)[:, None, None]
    task = Classify(classes=CLASSES)
    room = Room(say=said.append)
    tight = Predictor(network=network, task=task, sampling="whole", size=(40,), batch=16, room=room)
    free = Predictor(
        network=Mean(10**9, error).eval(), task=task, sampling="whole", size=(40,), batch=16
    )
    assert np.allclose(tight.run(images), free.run(images), atol=1e-6)
    assert said == ["out of memory; going on with 5 at a time",
                    "out of memory; going on with 2 at a time"]  # fmt: skip
    assert (room.batch, room.shortages) == (2, 2)
    seen = [shape[0] for shape in network.seen]
    assert seen == [2, 2, 2, 2, 2, 1]
    tight.run(images)  # what was learnt stays
    assert len(said) == 2


@pytest.mark.parametrize("shape", [(90,), (40, 36), (24, 20, 28)])
def test_maps_fall_back_to_fewer_then_to_smaller_tiles(shape: tuple[int, ...]) -> None:
    said: list[str] = []
    dims, image = len(shape), noise(shape)
    free = mapper(10**9, dims)
    for holds in (2 * 16**dims, 16**dims):
        tight = mapper(holds, dims, room=Room(say=said.append))
        assert np.allclose(tight.map(image), free.map(image), atol=1e-6)
        assert np.array_equal(tight.labels(image), free.map(image).argmax(0))
        assert all(np.prod(seen) <= holds for seen in tight.network.seen)
    assert all(line.startswith("out of memory; going on with ") for line in said)


def test_a_whole_image_becomes_tiles_where_it_is_too_much() -> None:
    said: list[str] = []
    tight = mapper(16**3, 3, batch=1, room=Room(say=said.append))
    found = tight.labels(noise((16, 16, 24)))
    assert found.dtype == np.uint8
    assert said == [
        "out of memory; going on with tiles of 16 x 16 x 16: near their borders answers differ"
    ]
    assert set(tight.network.seen) == {(1, 1, 16, 16, 16)}


def test_what_fits_in_no_way_is_refused() -> None:
    tight = mapper(10, 2)
    with pytest.raises(PlanError, match=r"an image of 40 x 36 must fit into memory with its answer"
                       r"; got out of memory at tiles of 16 x 16\. Free memory"):  # fmt: skip
        tight.labels(noise((40, 36)))
    network = Mean(10, ERRORS[0]).eval()
    alone = Predictor(
        network=network, task=Classify(classes=CLASSES), sampling="whole", size=(40,), batch=4
    )
    with pytest.raises(PlanError, match="one pass of the network must fit into memory; got out of"):
        alone.run(noise((40,))[None])


def test_other_errors_of_a_pass_come_through() -> None:
    with pytest.raises(RuntimeError, match="bad shape"):
        mapper(10, 2, RuntimeError("bad shape")).labels(noise((40, 36)))


def test_smaller_tiles_are_whole_steps_smaller_and_end() -> None:
    def tiles(size: tuple[int, ...], unit: int, margin: int = 0) -> Tiles:
        units = (unit,) * len(size)
        own = {"margin": (margin,) * len(size), "step": units} if margin else {
            "margin": None, "step": None}  # fmt: skip
        return Tiles(size=size, multiple=None if margin else units, overlap=0.5, **own)

    assert tiles((188, 140), 16, 20).smaller((188, 140)) == (124, 140)
    assert tiles((60,), 16, 20).smaller((60,)) is None
    assert tiles((32, 40), 8).smaller((32, 40)) == (32, 24)
    fixed = Tiles(size=(64,), multiple=None, overlap=0.5, margin=None, step=None)
    assert fixed.smaller((64,)) is None
