"""The live parts of a training: prepared data, batches, network, optimizer, validation."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from convivo.arrays.windows import PACES
from convivo.data.ahead import Ahead
from convivo.data.augment import Augmentation, apply, draw, mixed
from convivo.data.augment.beside import apply_beside
from convivo.data.batches import Batch, Batches
from convivo.data.inspection import Inspection
from convivo.data.readers.containers import shelf
from convivo.data.split import Split
from convivo.data.store import Store
from convivo.evaluation.answers import validation_answers
from convivo.progress import Progress
from convivo.tasks.generate import SLOPES_EVERY, Generate
from convivo.tasks.task import Task
from convivo.training.adversarial import adversarial_update
from convivo.training.averaging import averaged
from convivo.training.state import Counters, State
from convivo.training.update import Step, Update, train_step
from convivo.verbs.features import features_of, train_features
from convivo.verbs.imitation import judge_of, must_judge
from convivo.verbs.setup import Plan, build_predictor, build_preparation, build_task, margin_of
from convivo.verbs.storing import open_parts

AUGMENT = 3  # stream of randomness, apart from those of data.batches


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What `fit` is given, and what the calibration tries out.

    every: all prepared cases that a pretraining learns from. before: the parts of the pretraining,
    until it is over.
    """

    plan: Plan
    task: Task
    state: State
    batches: Batches
    validation: Store
    augmentation: Augmentation | None
    spacing: tuple[float, ...] | None
    device: torch.device
    update: Update = train_step
    features: nn.Module | None = None
    judge: Callable[[nn.Module], float] | None = None
    every: Store | None = None
    before: "Parts | None" = None

    @property
    def step(self) -> Step:
        """The loss that an update begins with."""
        return getattr(self.task, "judge", self.task.step)

    def tensors(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The augmented batch of a step, on the device; a function of (seed, step)."""
        batch = self.drawn(step)
        images = torch.from_numpy(batch.images).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        if self.augmentation is None:  # losses take label maps as int64
            return images, targets.long() if targets.ndim > 1 else targets
        rng = np.random.default_rng((int(self.plan["seed"]), AUGMENT, step))
        size, own = tuple(images.shape[2:]), self._own(int(images.shape[1]))
        drawn = draw(self.augmentation, len(images), size, own, rng, spacing=self.spacing)
        changed = None
        if self._beside:
            apply_beside(images, drawn)
        else:  # a batch is drawn once; a rhythm behind it is no signal to be altered
            maps = targets if targets.ndim > 1 else None
            _, changed = apply(images[:, :own], maps, drawn, in_place=True)
        if drawn.mixup is not None:  # shares of classes, as cross-entropy takes them
            targets = mixed(targets, drawn.mixup, self.task.outputs)
        return images, targets if changed is None else changed

    @property
    def _beside(self) -> bool:
        """Whether windows are shown beside what differs from their record's usual one."""
        return bool(self.plan["sampling"].get("reference"))

    def _own(self, channels: int) -> int:
        """Of all channels those of the signal itself."""
        signal = channels - (PACES if self.plan["sampling"].get("rhythm") else 0)
        return signal // 2 if self._beside else signal

    @cached_property
    def drawn(self) -> Callable[[int], Batch]:
        """`batches`; read one step ahead where reading takes time."""
        return Ahead(self.batches) if self.batches.store.streamed else self.batches

    @property
    def stored(self) -> int:
        """Bytes of the prepared images that stay in memory as long as the parts do."""
        return self.batches.store.held + self.validation.held

    def validate(self, network: nn.Module, store: Store | None = None) -> dict[str, Any]:
        """The task's score on the validation cases (or on those of `store`)."""
        if self.judge is not None:
            return {"score": self.judge(network)}
        predictor = build_predictor(self.plan, network, self.task)
        answers = validation_answers(predictor, store or self.validation)
        return {"score": self.task.score(answers)}


def build_state(plan: Plan, network: nn.Module, average: nn.Module | None = None) -> State:
    """A network at the start of its training, with all that it is trained by.

    Args:
        average: the copy for the mean of the weights, where there is one already.
    """
    counters = Counters(
        passes=plan.get("accumulate", 1), checkpointing=plan.get("checkpointing", False)
    )
    if average is None and ema_of(plan) > 0:
        average = deepcopy(network)
    both = {"network": network, "average": average, "counters": counters}
    if plan["task"] != "generate":
        return State(optimizer=build_optimizer(plan, network), **both)
    halves = (network.get_submodule(name) for name in ("generator", "discriminator"))
    own, rival = (build_optimizer(plan, half) for half in halves)
    return State(optimizer=own, rival=rival, **both)


def ema_of(plan: Plan) -> float:
    """Share of the old mean in each update of the mean of the weights; 0 where none is kept."""
    own = plan["task_fields"] if plan["task"] == "generate" else plan["train"]
    return own.get("ema") or 0.0  # plans of earlier versions do not speak of it


def build_update(plan: Plan, task: Task) -> Update:
    """What a step does: of one network, or of two against each other."""
    if not isinstance(task, Generate):
        ema = ema_of(plan)
        return averaged(train_step, ema) if ema > 0 else train_step
    return adversarial_update(
        task.create, every=task.every, ema=task.ema,
        slopes=task.slopes if task.r1 else None, slopes_every=SLOPES_EVERY,
    )  # fmt: skip


def build_optimizer(plan: Plan, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; biases and normalisation parameters do not decay.

    Two networks against each other remember gradients for a shorter time, as published for DCGAN.
    """
    train = plan["train"]
    several = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    single = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": several, "weight_decay": train["weight_decay"]},
        {"params": single, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if train["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=train["lr"], momentum=0.9, nesterov=True, fused=True)
    betas = (0.5, 0.999) if plan["task"] == "generate" else (0.9, 0.999)
    return torch.optim.AdamW(groups, lr=train["lr"], betas=betas, fused=True)


def batches_of(
    plan: Plan, store: Store, margin: tuple[int, ...] | None, *, foreground: float | None = None
) -> Batches:
    """The batches that a plan draws from prepared cases.

    Args:
        margin, foreground: as in `Batches`; the share is the plan's own where none is given.
    """
    seen = plan["sampling"]
    return Batches(
        store,
        size=tuple(seen["size"]),
        batch=plan["batch"],
        sampling=seen["mode"],
        seed=int(plan["seed"]),
        balance=plan["train"]["balance"],
        foreground=seen["foreground"] if foreground is None else foreground,
        before=seen["before"],
        reference=bool(seen.get("reference")),
        rhythm=bool(seen.get("rhythm")),
        margin=margin,
    )


def build_parts(
    plan: Plan,
    network: nn.Module,
    inspection: Inspection,
    split: Split,
    *,
    device: torch.device,
    place: str | None = None,
    progress: Callable[[str, int], Progress],
    features: nn.Module | None = None,
    seconds: float | None = None,
    more: Sequence[str] = (),
) -> Parts:
    """Read and prepare the training and validation cases, and put a fresh state beside them.

    Args:
        place: the folder for packed data, where the user named one.
        features: for a generator, the network that judges it, where it is trained already.
        seconds: that training it may take.
        more: cases without labels that a pretraining learns from too.
    """
    preparation = build_preparation(plan)
    stores = open_parts(plan, inspection, split, place, progress, more)
    shelf.clear()  # all that is trained on is prepared
    network = network.to(device)
    batches = batches_of(plan, stores[0], margin_of(network))
    task, judge = build_task(plan), None
    if plan["task"] == "generate":
        must_judge(plan, split)
        if features is None:
            features = train_features(plan, batches, progress, seconds=seconds)
        judge = judge_of(plan, task, features_of(features), stores[1])
    return Parts(
        plan=plan,
        task=task,
        state=build_state(plan, network),
        update=build_update(plan, task),
        features=features,
        judge=judge,
        batches=batches,
        validation=stores[1],
        every=(stores[2] if more else stores[0]) if plan.get("pretrain") else None,
        augmentation=Augmentation.from_dict(plan["augment"]) if plan["augment"] else None,
        spacing=preparation.spacing,
        device=device,
    )
