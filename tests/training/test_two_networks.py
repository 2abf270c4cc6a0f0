"""A generator and a discriminator in the one loop: both learn, and a resumed run is the same."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from convivo.architectures.create import create
from convivo.errors import UsageError
from convivo.progress import Progress
from convivo.tasks.generate import Generate
from convivo.training.adversarial import adversarial_update
from convivo.training.averaging import follow
from convivo.training.journal import Journal
from convivo.training.loop import Schedule, fit
from convivo.training.state import State

SCHEDULE = Schedule(
    steps=6, validate_every=2, steps_per_epoch=3, lr=1e-3, warmup=1, clip=0.0, patience=0, seed=5
)


class Killed(Exception):
    """The process is gone: nothing after this is saved."""


def draw(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng((3, step))
    images = torch.from_numpy(rng.normal(size=(4, 1, 16)).astype(np.float32))
    return images, torch.from_numpy(rng.integers(0, 2, 4))


def score(network: torch.nn.Module) -> dict[str, float]:
    rng = torch.Generator().manual_seed(1)
    labels = torch.tensor([0, 1, 0, 1]) if network.classes else None
    return {"score": -float(network.sample(4, rng, labels).abs().mean())}


class Training:
    def __init__(self, folder, task: Generate, **options):
        self.folder, self.task, self.options = folder, task, options
        self.state = self.fresh()

    def fresh(self) -> State:
        torch.manual_seed(11)
        network = create(
            "dcgan", spatial_dims=1, in_channels=1, num_classes=2, input_size=16, width=0.05,
            latent=5, **self.options,
        )  # fmt: skip
        torch.manual_seed(11)
        average = create(
            "dcgan", spatial_dims=1, in_channels=1, num_classes=2, input_size=16, width=0.05,
            latent=5, **self.options,
        )  # fmt: skip
        average.load_state_dict(network.state_dict())
        own, rival = (
            torch.optim.AdamW(half.parameters(), betas=(0.5, 0.999), fused=True)
            for half in (network.generator, network.discriminator)
        )
        return State(network=network, optimizer=own, rival=rival, average=average)

    def start(self, batches=draw) -> str:
        self.state = self.fresh()
        journal = Journal(self.folder, Progress("step", 1), rest=0.0)
        journal.resume(self.state)
        task = self.task
        slopes = task.slopes if task.r1 else None
        update = adversarial_update(
            task.create, every=task.every, ema=task.ema, slopes=slopes, slopes_every=2
        )
        return fit(
            self.state, batches, task.judge, schedule=SCHEDULE, validate=score, journal=journal,
            update=update,
        )  # fmt: skip

    def tensors(self) -> dict[str, bytes]:
        both = {"network": self.state.network, "average": self.state.average}
        return {
            f"{name}.{key}": value.numpy().tobytes()
            for name, module in both.items()
            for key, value in module.state_dict().items()
        }


KINDS = {
    "plain": (Generate(), {}),
    "slopes": (Generate(r1=1.0), {}),
    "penalty": (Generate(loss="wgan-gp", every=2), {"discriminator_norm": "layer"}),
    "spectral": (
        Generate(loss="hinge", conditional=True, classes=("a", "b")),
        {"spectral_norm": True, "discriminator_norm": "none", "conditional": True},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 3, 4])
def test_killed_run_goes_on_to_the_same_bits(kind: str, step: int, tmp_path) -> None:
    task, options = KINDS[kind]
    whole = Training(tmp_path / "whole", task, **options)
    assert whole.start() == "schedule"
    training = Training(tmp_path / "killed", task, **options)

    def dying(number: int):
        if number == step:
            raise Killed
        return draw(number)

    with pytest.raises(Killed):
        training.start(dying)
    assert training.start() == "schedule"
    assert training.tensors() == whole.tensors()
    best = [run.folder / "weights.safetensors" for run in (training, whole)]
    assert best[0].read_bytes() == best[1].read_bytes()


def test_slopes_are_asked_for_in_every_so_many_th_step(tmp_path, monkeypatch) -> None:
    training, asked = Training(tmp_path, Generate(r1=1.0)), []
    real = Generate.slopes

    def slopes(task, network, images, targets):
        asked.append(training.state.step)
        return real(task, network, images, targets)

    monkeypatch.setattr(Generate, "slopes", slopes)
    training.start()
    assert asked == list(range(0, SCHEDULE.steps, 2))


def test_the_rate_rises_and_stays(tmp_path) -> None:
    training, rates = Training(tmp_path, Generate()), []

    def drawing(number: int):
        rates.append([one.param_groups[0]["lr"] for one in training.state.optimizers])
        return draw(number)

    training.start(drawing)
    assert rates[2:] == [[SCHEDULE.lr] * 2] * 4


@pytest.mark.parametrize("kind", KINDS)
def test_both_halves_have_learnt(kind: str, tmp_path) -> None:
    task, options = KINDS[kind]
    training = Training(tmp_path / "run", task, **options)
    before = {k: v.clone() for k, v in training.state.network.state_dict().items()}
    training.start()
    after = training.state.network.state_dict()
    weights = [k for k, v in after.items() if v.is_floating_point() and k.endswith("weight")]
    assert weights
    assert all(not torch.equal(before[k], after[k]) for k in weights)
    lines = (training.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6]
    assert all(json.loads(line)["loss"] is not None for line in lines)


def test_generator_waits_for_its_turn(tmp_path) -> None:
    training = Training(tmp_path / "run", Generate(every=3))
    seen = []

    def watched(number: int):
        weight = training.state.network.generator.main[0].weight
        seen.append(weight.detach().clone())
        return draw(number)

    training.start(watched)
    changed = [not torch.equal(a, b) for a, b in pairwise(seen)]
    assert changed == [True, False, False, True, False]


def test_running_mean_follows_the_weights(tmp_path) -> None:
    state = Training(tmp_path, Generate()).state
    with torch.no_grad():
        for parameter in state.network.parameters():
            parameter.add_(1.0)
    name = "generator.main.0.weight"
    before = state.average.state_dict()[name].clone()
    state.counters.step = 1_000_000
    follow(state, 0.75)
    torch.testing.assert_close(state.average.state_dict()[name], before + 0.25)
    follow(state, 0.0)
    assert torch.equal(state.average.state_dict()[name], state.network.state_dict()[name])
    assert state.shown is state.average


def test_not_finite_gradients_change_no_generator(tmp_path) -> None:
    training = Training(tmp_path / "run", Generate())
    before = training.fresh().network.state_dict()

    def broken(number: int):
        images, targets = draw(number)
        return images * float("inf"), targets

    training.start(broken)
    assert training.state.counters.skipped == 6
    after = training.state.network.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_single_optimizer_is_refused(tmp_path) -> None:
    state = Training(tmp_path, Generate()).state
    state.rival = None
    update = adversarial_update(Generate().create, every=1, ema=0.9)
    with pytest.raises(UsageError, match="two networks need two optimizers"):
        update(state, Generate().judge, *draw(0), SCHEDULE)
