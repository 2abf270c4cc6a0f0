"""Passes chosen for a limit: what is given up, in which order, and what the refusal says."""

import re
from dataclasses import replace
from math import prod

import pytest
import torch

from convivo.architectures.create import create
from convivo.errors import PlanError
from convivo.inference.fitting import HOLES, TRACER, Fitting
from convivo.inference.predictor import Predictor
from convivo.planning.ceiling import ceiling
from convivo.planning.overhead import approximate
from convivo.planning.rehearsal import rehearse
from convivo.planning.residence import tensors_peak
from convivo.tasks.classify import Classify
from convivo.tasks.segment import Segment

MIB = 2**20
NOTHING, _ = approximate(0, train=False, kernels=0, lasting=TRACER)  # an idle process, and tracing
TILES = {1: (2048,), 2: (96, 64), 3: (32, 32, 32)}
IMAGES = {1: (1, 30_000), 2: (1, 300, 250), 3: (1, 70, 90, 110)}


def mapper(dims: int, **more) -> Predictor:
    torch.manual_seed(0)
    net = create("unet", spatial_dims=dims, in_channels=1, num_classes=3, width=0.25)
    return Predictor(
        network=net.eval(), task=Segment(classes=("a", "b", "c")), sampling="patch",
        size=TILES[dims], multiple=net.total_stride, **{"batch": 4} | more,
    )  # fmt: skip


def bytes_of(predictor: Predictor, shape: tuple[int, ...]) -> int:
    """What the process is thought to take, as the fitting counts it."""
    fitting = Fitting(predictor=predictor, limit=None)
    return fitting._costs(predictor, shape, 0)(predictor.at_once(shape))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_without_a_limit_or_with_plenty_nothing_changes(dims: int) -> None:
    wish, said = mapper(dims), []
    for limit in (None, 10**12, bytes_of(wish, IMAGES[dims])):
        found = Fitting(predictor=wish, limit=limit, say=said.append).to(IMAGES[dims])
        assert (found.batch, found.tile_for(IMAGES[dims][1:])) == (
            4,
            wish.tile_for(IMAGES[dims][1:]),
        )
    assert not said


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_fewer_tiles_at_once_come_first(dims: int) -> None:
    wish, shape, said = mapper(dims, batch=8), IMAGES[dims], []
    three = bytes_of(replace(wish, batch=3), shape)
    found = Fitting(predictor=wish, limit=three, say=said.append).to(shape)
    assert (found.batch, found.tile_for(shape[1:])) == (3, wish.tile_for(IMAGES[dims][1:]))
    less = Fitting(predictor=wish, limit=three - 1, say=said.append).to(shape)
    assert (less.batch, less.tile_for(shape[1:])) == (2, wish.tile_for(IMAGES[dims][1:]))
    assert not said


@pytest.mark.parametrize("dims", [2, 3])
def test_narrower_tiles_come_last_and_are_told(dims: int) -> None:
    wish, shape, said = mapper(dims), IMAGES[dims], []
    one = min(bytes_of(replace(wish, batch=n), shape) for n in (1, 2))
    fitting = Fitting(predictor=wish, limit=one - 1, say=said.append)
    found = fitting.to(shape)
    tile = found.tile_for(shape[1:])
    assert prod(tile) < prod(TILES[dims])
    assert bytes_of(found, shape) < one
    assert found.batch >= 1
    assert re.fullmatch(
        rf"tiles of {' x '.join(map(str, tile))}, to stay within [\d,]+ MiB: "
        r"near their borders answers differ a little",
        said[0],
    )
    fitting.to(shape)  # said once
    assert len(said) == 1


def test_what_lives_beside_the_pass_takes_its_share() -> None:
    wish, shape = mapper(3, batch=8), IMAGES[3]
    limit = bytes_of(wish, shape)
    fitting = Fitting(predictor=wish, limit=limit)
    assert fitting.to(shape).batch == 8
    assert fitting.to(shape, beside=20 * MIB).batch < 8
    in_training = Fitting(predictor=wish, limit=limit, lasting=20 * MIB)
    assert in_training.to(shape).batch < 8


def test_rows_of_a_table_get_smaller_batches() -> None:
    torch.manual_seed(0)
    net = create("resnet18", spatial_dims=2, in_channels=1, num_classes=2, width=0.25).eval()
    wish = Predictor(
        network=net, task=Classify(classes=("a", "b")), sampling="whole", size=(96, 96), batch=64
    )
    shape = (1, 96, 96)
    assert Fitting(predictor=wish, limit=bytes_of(replace(wish, batch=10), shape)).to(
        shape
    ).batch in (10, 11)


def test_the_refusal_names_the_least() -> None:
    wish, shape = mapper(3), IMAGES[3]
    fitting = Fitting(predictor=wish, limit=NOTHING // 2)
    text = r"predict: needs at least [\d,]+ MiB for one input of 70 x 90 x 110; got [\d,]+ MiB\. "
    with pytest.raises(PlanError, match=text + r"Give --ram \d+M, or cut") as refused:
        fitting.to(shape)
    enough = int(re.search(r"--ram (\d+)M", str(refused.value))[1]) * MIB
    found = Fitting(predictor=wish, limit=enough).to(shape)
    assert bytes_of(found, shape) <= enough
    assert prod(found.tile_for(shape[1:])) < prod(TILES[3])


@pytest.mark.parametrize("name", ["unet", "resnet50", "densenet121", "vgg11", "segnet"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_no_pass_takes_more_than_the_ceiling(name: str, dims: int) -> None:
    shape = {1: (1, 256), 2: (1, 64, 96), 3: (1, 32, 32, 32)}[dims]
    with torch.device("meta"):
        net = create(name, spatial_dims=dims, in_channels=1, num_classes=3, width=0.5)
    peak = tensors_peak(rehearse(net, shape, 2, mode="infer"))
    most = ceiling(net, lambda twin: twin(torch.empty(2, *shape, device="meta")))
    assert peak <= most


def test_what_cannot_be_traced_is_predicted_as_it_is() -> None:
    class Looks(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if float(images.sum()) > 0 else -images

    wish = Predictor(
        network=Looks(), task=Classify(classes=("a", "b")), sampling="whole", size=(9, 7), batch=3
    )
    fitting = Fitting(predictor=wish, limit=1)
    assert fitting.to((1, 9, 7)) is wish
    assert fitting.least((1, 9, 7)) == 0


def test_freed_memory_goes_back_only_where_memory_is_scarce() -> None:
    wish, shape, asked = mapper(2), IMAGES[2], []
    for limit, scarce in ((10**12, False), (bytes_of(wish, shape), True)):
        Fitting(predictor=wish, limit=limit, sparing=lambda: asked.append(1)).to(shape)
        assert bool(asked) is scarce
    many, more = 4 * bytes_of(wish, shape), asked.copy()
    Fitting(predictor=wish, limit=many, training=True, sparing=lambda: asked.append(2)).to(shape)
    assert asked == more  # a training has settled that for itself


def test_memory_that_only_a_ceiling_calls_scarce_is_kept() -> None:
    deep = torch.nn.Sequential(*(torch.nn.Conv1d(8, 8, 3, padding=1) for _ in range(40)))
    wish = Predictor(
        network=deep.eval(), task=Classify(classes=("a",) * 8), sampling="whole", size=(4096,)
    )
    shape, asked = (8, 4096), []
    most = ceiling(deep, lambda twin: twin(torch.empty(64, *shape, device="meta")))
    plenty = approximate(4 * most, train=False)[1]
    assert plenty < approximate(HOLES * most, train=False)[1]
    for limit, scarce in ((plenty, False), (bytes_of(wish, shape), True)):
        Fitting(predictor=wish, limit=limit, sparing=lambda: asked.append(1)).to(shape)
        assert bool(asked) is scarce


def test_what_the_process_holds_beyond_what_is_known_is_not_there_for_passes() -> None:
    wish, shape = mapper(2, batch=8), IMAGES[2]
    limit = bytes_of(wish, shape)
    more = limit - bytes_of(replace(wish, batch=4), shape)
    now = [NOTHING]
    fitting = Fitting(predictor=wish, limit=limit, held=lambda: now[0])
    now[0] += TRACER
    assert fitting.to(shape).batch == 8
    now[0] += more
    assert fitting.to(shape).batch <= 4
