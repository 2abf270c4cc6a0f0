"""The live parts of a training: data in memory, batches, network, optimizer, validation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from convivo.data.augment import Augmentation, apply, draw, mixed
from convivo.data.batches import Batches
from convivo.data.inspection import Inspection
from convivo.data.split import Split
from convivo.data.store import Store, build_store
from convivo.evaluation.answers import validation_answers
from convivo.progress import Progress
from convivo.tasks.task import Task
from convivo.training.state import Counters, State
from convivo.verbs.setup import Plan, build_predictor, build_preparation, build_task, margin_of

AUGMENT = 3  # stream of randomness, apart from those of data.batches


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What `fit` is given, and what the calibration tries out."""

    plan: Plan
    task: Task
    state: State
    batches: Batches
    validation: Store
    augmentation: Augmentation | None
    spacing: tuple[float, ...] | None
    device: torch.device

    def tensors(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The augmented batch of a step, on the device; a function of (seed, step)."""
        batch = self.batches(step)
        images = torch.from_numpy(batch.images).to(self.device)
        targets = torch.from_numpy(batch.targets).to(self.device)
        if self.augmentation is None:
            return images, targets
        rng = np.random.default_rng((int(self.plan["seed"]), AUGMENT, step))
        size, channels = tuple(images.shape[2:]), int(images.shape[1])
        drawn = draw(self.augmentation, len(images), size, channels, rng, spacing=self.spacing)
        maps = targets if targets.ndim > 1 else None
        images, changed = apply(images, maps, drawn)
        if drawn.mixup is not None:  # shares of classes, as cross-entropy takes them
            targets = mixed(targets, drawn.mixup, self.task.outputs)
        return images, targets if changed is None else changed

    @property
    def stored(self) -> int:
        """Bytes of the prepared images, which stay as long as the parts do."""
        stores = (self.batches.store, self.validation)
        return sum(image.nbytes for store in stores for image in store.images)

    def validate(self, network: nn.Module, store: Store | None = None) -> dict[str, Any]:
        """The task's score on the validation cases (or on those of `store`)."""
        predictor = build_predictor(self.plan, network, self.task)
        answers = validation_answers(predictor, store or self.validation)
        return {"score": self.task.score(answers)}


def build_optimizer(plan: Plan, network: nn.Module) -> torch.optim.Optimizer:
    """AdamW or SGD with Nesterov momentum; biases and normalisation parameters do not decay."""
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
    return torch.optim.AdamW(groups, lr=train["lr"], fused=True)


def build_parts(
    plan: Plan,
    network: nn.Module,
    inspection: Inspection,
    split: Split,
    *,
    device: torch.device,
    progress: Callable[[str, int], Progress],
) -> Parts:
    """Read and prepare the training and validation cases, and put a fresh state beside them."""
    preparation = build_preparation(plan)
    cases = {case.id: case for case in inspection.cases}
    stores = []
    for part in (split.train, split.val):
        bar = progress("reading", len(part))
        stores.append(
            build_store(lambda i: inspection.load(cases[i]), part, preparation, tick=bar.update)
        )
        bar.close()
    network = network.to(device)
    seen = plan["sampling"]
    batches = Batches(
        stores[0],
        size=tuple(seen["size"]),
        batch=plan["batch"],
        sampling=seen["mode"],
        seed=int(plan["seed"]),
        balance=plan["train"]["balance"],
        foreground=seen["foreground"],
        before=seen["before"],
        margin=margin_of(network),
    )
    return Parts(
        plan=plan,
        task=build_task(plan),
        state=State(
            network=network,
            optimizer=build_optimizer(plan, network),
            counters=Counters(
                passes=plan.get("accumulate", 1), checkpointing=plan.get("checkpointing", False)
            ),
        ),
        batches=batches,
        validation=stores[1],
        augmentation=Augmentation.from_dict(plan["augment"]) if plan["augment"] else None,
        spacing=preparation.spacing,
        device=device,
    )
