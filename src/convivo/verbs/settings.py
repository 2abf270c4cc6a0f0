"""A run's configuration: every choice by name. None means "choose for me"; config.toml has no None.

`--set net.width=0.5` and `--config FILE.toml` fill it, `verbs/choose.py` completes it.
"""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

Precision = Literal["auto", "fp32", "bf16", "fp16"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(_Section):
    """Where the data is and how it is to be read.

    store: the folder for packed data; None packs only what is too much for memory.
    """

    path: str = ""
    layout: str | None = None
    task: str | None = None
    subject: str | None = None
    labels: str | None = None
    positive: str | None = None
    accept: list[str] = []
    store: str | None = None


class NetSettings(BaseModel):
    """The network; keys beyond these are its options (`net.hidden=[1000]`, `net.init=he_normal`).

    pretrained: a run's folder or a file of weights to start from (`--init`).
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str | None = None
    width: PositiveFloat | None = None
    pretrained: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class InputSettings(_Section):
    """What the network sees.

    sampling: whole cases, windows around moments, crops of longer signals, patches.
    size: samples per axis, after resampling to `spacing` (in the data's own unit).
    before: share of a window before its moment. reference: beside each window what differs from the
    median window of its record, as further channels. rhythm: as two more, how early the moment
    comes, and the next. foreground: share of patches centred on a class.
    """

    sampling: Literal["whole", "window", "crop", "patch"] | None = None
    size: list[PositiveInt] | None = None
    before: float | None = None
    reference: bool | None = None
    rhythm: bool | None = None
    foreground: float | None = None
    spacing: list[PositiveFloat] | None = None
    orientation: str | None = None
    normalization: Literal["zscore", "robust", "fixed", "none"] | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    channels: list[str] | None = None


class TrainSettings(_Section):
    """How it is trained. `steps` follows from `epochs` or from the time that there is.

    border_weight, border_sigma: the weight map of label maps, see `tasks.segment.Segment`.
    ema: share of the old mean in each update of the running mean of the weights, which is then what
    is validated and kept; 0: the weights themselves.
    """

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    batch: PositiveInt | None = None
    optimizer: Literal["adamw", "sgd"] | None = None
    lr: PositiveFloat | None = None
    weight_decay: NonNegativeFloat | None = None
    warmup: NonNegativeInt | None = None
    clip: NonNegativeFloat | None = None
    patience: NonNegativeInt | None = None
    validate_every: PositiveInt | None = None
    balance: NonNegativeFloat | None = None
    label_smoothing: NonNegativeFloat | None = None
    border_weight: NonNegativeFloat | None = None
    border_sigma: PositiveFloat | None = None
    ema: NonNegativeFloat | None = None
    precision: Precision | None = None
    threads: PositiveInt | None = None
    seed: int = 0


class TaskSettings(_Section):
    """What is asked of the network, beyond the task's name.

    loss: to regress "mse" or "huber", to reconstruct "mse" or "l1", to generate "nonsaturating",
    "hinge" or "wgan-gp". normal: the class that alone
    is trained on; others are anomalies to find. beta: weight of a variational code's divergence.
    penalty, r1, every, ema: see `tasks.generate.Generate`. feature_steps: of the network in whose
    features generated images are judged. instances: whether label maps number objects that are told
    apart (see `tasks.instances`). regions: name -> label values that belong to it, instead of
    classes; regions_class_order: the value that each is written as (see `tasks.regions`).
    """

    loss: str | None = None
    normal: str | None = None
    beta: NonNegativeFloat | None = None
    penalty: NonNegativeFloat | None = None
    r1: NonNegativeFloat | None = None
    every: PositiveInt | None = None
    ema: NonNegativeFloat | None = None
    feature_steps: PositiveInt | None = None
    instances: bool | None = None
    regions: dict[str, list[NonNegativeInt]] | None = None
    regions_class_order: list[NonNegativeInt] | None = None


class AugmentSettings(BaseModel):
    """Augmentation: `enabled`, `flips` (axes), and any field of `data.augment.Augmentation`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    enabled: bool = True
    flips: list[int] | None = None

    @property
    def fields(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class PretrainSettings(_Section):
    """What the network learns before the training, from images alone (`--pretrain`).

    method: "reconstruct": what hidden blocks hold; None: nothing. masked: share of the blocks that
    is hidden. share: of the time, or of all steps, that it takes. epochs: passes over its cases, at
    most.
    """

    method: Literal["reconstruct"] | None = None
    masked: PositiveFloat | None = None
    share: PositiveFloat | None = None
    epochs: PositiveInt | None = None


class Settings(_Section):
    """The whole configuration of a run."""

    data: DataSettings = DataSettings()
    task: TaskSettings = TaskSettings()
    net: NetSettings = NetSettings()
    input: InputSettings = InputSettings()
    train: TrainSettings = TrainSettings()
    pretrain: PretrainSettings = PretrainSettings()
    augment: AugmentSettings = AugmentSettings()
