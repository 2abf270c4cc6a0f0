"""plan --ram, --vram: the settings that stay within the memory there is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

from torch import nn

from convivo.config import size
from convivo.errors import PlanError
from convivo.layers.checkpointing import parts_of
from convivo.planning.budget import MIB, MOST, Cost, Setting, Solution, Space, Step, solve
from convivo.planning.overhead import approximate
from convivo.planning.step import Loss
from convivo.planning.step_cost import StepCost
from convivo.training.easing import normalizes_over_the_batch
from convivo.verbs.fingerprint import Facts
from convivo.verbs.fixing import traced_loss, traced_optimizer
from convivo.verbs.keeping import Keeping
from convivo.verbs.pretext import Pretext, pretext_outline
from convivo.verbs.settings import Settings

IN_FLIGHT = 2  # batches that wait on the way to an accelerator
STEADY = 8  # items a pass for batch normalization


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bytes there are: of main memory, and of the accelerator's where that does the work."""

    ram: int | None
    vram: int | None

    def __bool__(self) -> bool:
        return self.ram is not None or self.vram is not None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is to be fitted, and what of it is open.

    batch: None for the largest, at most `most`. precisions: number formats, the wished first.
    before: of a pretraining, whose steps must fit as well.
    smaller: whether the patch may shrink. steady: see `Space`. The others: see `StepCost`.
    """

    mode: str
    optimizer: str
    precisions: tuple[str, ...]
    batch: int | None = None
    smaller: bool = True
    most: int = MOST
    steady: int = 1
    lasting: int = 0
    between: Callable[[Setting], int] | None = None
    task: str | None = None
    loss: Loss | None = None
    before: Pretext | None = None
    ranks: int | None = None
    strategy: str | None = None


def limits_of(ram: str | int | None, vram: str | int | None) -> Limits:
    """The limits as bytes.

    Raises:
        UsageError: not a size.
    """
    return Limits(
        ram=None if ram is None else size(ram, "--ram"),
        vram=None if vram is None else size(vram, "--vram"),
    )


def beside_mean(limits: Limits, size: int) -> Limits:
    """What an accelerator has left beside the mean of the weights, which lies there too.

    Args:
        size: its bytes. In main memory it is among what lasts (`keeping.Keeping`).
    """
    return limits if limits.vram is None else replace(limits, vram=max(1, limits.vram - size))


def formats(precision: str) -> tuple[str, ...]:
    """The number formats that are open: "auto" leaves the choice."""
    return ("fp32", "bf16") if precision == "auto" else (precision,)


def step_cost(net: nn.Module, channels: int, ask: Ask, *, apart: bool) -> StepCost:
    """What a setting costs under these conditions; `apart` on an accelerator."""
    return StepCost(
        net,
        channels,
        mode=ask.mode,
        optimizer=ask.optimizer,
        task=ask.task,
        loss=ask.loss,
        lasting=ask.lasting,
        between=ask.between,
        update=ask.batch,
        ranks=ask.ranks,
        strategy=ask.strategy,
        apart=apart,
    )


def _of_both(net: StepCost, ask: Ask, *, apart: bool) -> Cost:
    """The larger cost of a training step and of one of the pretraining."""
    if ask.before is None or ask.mode != "train":
        return net
    first = replace(ask, optimizer="adamw", loss=ask.before.loss)
    other = step_cost(ask.before.network, net.channels, first, apart=apart)
    return lambda setting: max(net(setting), other(setting))


def within(
    net: nn.Module,
    shape: tuple[int, ...],
    ask: Ask,
    limits: Limits,
    *,
    option: str = "--ram",
) -> Solution:
    """What fits the limits; the tensors are where the work is done.

    Args:
        option: who sets the limit of main memory, for the message.
    Raises:
        PlanError: nothing does. ShapeError: the network does not take that input.
    """
    channels, *size = shape
    patch = tuple(size)
    cost = step_cost(net, channels, ask, apart=limits.vram is not None)
    train = ask.mode == "train"
    space = Space(
        patches=cost.patches(patch) if ask.smaller else [patch],
        precisions=ask.precisions,
        checkpointing=(False, True) if train and parts_of(net) else (False,),
        allocators=("keep", "return") if train and limits.vram is None else ("keep",),
        batch=ask.batch,
        least=cost.least_batch(Setting(batch=1, patch=patch, precision=ask.precisions[0])),
        steady=ask.steady,
        most=ask.most,
    )
    both = _of_both(cost, ask, apart=limits.vram is not None)
    if limits.vram is None:
        return solve(both, int(limits.ram or 0), space, option=option)
    found = solve(both, limits.vram, space, option="--vram")
    _must_hold_the_rest(found.setting, channels, ask, limits.ram)
    return found


def _must_hold_the_rest(found: Setting, channels: int, ask: Ask, ram: int | None) -> None:
    """Beside an accelerator the main memory holds the process, the data and the next batches."""
    batches = IN_FLIGHT * 4 * found.batch * channels * prod(found.patch)
    _, least = approximate(batches, train=ask.mode == "train", lasting=ask.lasting)
    if ram is not None and least > ram:
        need = ceil(least / MIB)
        rule = f"needs at least {need:,} MiB beside the accelerator for {found.words}"
        remedy = f"Give --ram {ceil(need / 10) * 10}M or a smaller batch"
        raise PlanError("plan", rule, f"{ram / MIB:,.0f} MiB", remedy)


def fitted(
    net: nn.Module, shape: tuple[int, ...], ask: Ask, limits: Limits
) -> tuple[Setting, dict[str, Any]]:
    """The setting that a plan is to describe, and what it says about the limits, if there are any.

    A batch that was asked for is described though it does not fit; the solution then is what does.
    """
    asked = Setting(batch=ask.batch or 1, patch=shape[1:], precision=ask.precisions[0])
    if not limits:
        return asked, {}
    solution = within(net, shape, ask, limits)
    fits = ask.batch is None or solution.setting == asked
    return solution.setting if fits else asked, {"fits": fits, "solution": solution.document()}


def kept_by(setting: Setting, mode: str) -> bool | None:
    """Whether the process keeps what it frees; None leaves that to the mode."""
    return setting.allocator == "keep" if mode == "train" else None


def in_one_step(setting: Setting, count: int, limit: int) -> Solution:
    """The answer where the wish fits at once."""
    step = Step(setting=setting, bytes=count, fits=True)
    return Solution(setting=setting, bytes=count, limit=limit, price=(), steps=(step,))


def ask_for(
    facts: Facts,
    draft: Mapping[str, Any],
    wish: Settings,
    keeping: Keeping,
    *,
    batch: int | None,
    precision: str,
    mode: str = "train",
    optimizer: str | None = None,
    ranks: int | None = None,
    strategy: str | None = None,
) -> Ask:
    """What a plan of data asks: only whole cases keep their size, and no batch exceeds the items.

    A classifier that normalizes over the batch wants a few items a pass: their mean and deviation
    are what it learns from.

    Args:
        draft: the plan without limits. wish: what the user set, which stays.
        batch: the wished items of an update; None for the largest.
        precision: the number format; "auto" leaves it open.
        optimizer: default the training's.
    """
    training, whole = mode == "train", facts.task != "segment"
    steady = STEADY if whole and normalizes_over_the_batch(keeping.network) else 1
    return Ask(
        mode=mode,
        optimizer=optimizer or traced_optimizer(draft["train"]),
        precisions=formats(precision),
        batch=batch,
        smaller=not whole and wish.input.size is None,
        most=facts.items if whole else MOST,
        steady=steady,
        lasting=keeping.lasting if training else 0,
        between=keeping.between if training else None,
        task=facts.task,
        loss=traced_loss(draft),
        before=pretext_outline(draft, keeping.network),
        ranks=ranks,
        strategy=strategy,
    )


def with_setting(settings: Settings, found: Setting, batch: int | None = None) -> Settings:
    """The configuration with a setting's patch and number format, and its batch or another."""
    precision = settings.train.precision if found.precision == "fp32" else found.precision
    update = {"batch": batch or found.batch, "precision": precision}
    train = settings.train.model_copy(update=update)
    seen = settings.input.model_copy(update={"size": list(found.patch)})
    return settings.model_copy(update={"train": train, "input": seen})


def smaller_reason(found: Sequence[int], wished: Sequence[int]) -> str:
    """The sentence on a patch that gave way, after the one on the patch that was wished."""
    small, large = (" x ".join(map(str, size)) for size in (found, wished))
    return f"to stay within the memory: patches of {small} in the place of {large}"


def words(contents: dict[str, Any]) -> list[str]:
    """Lines for people: what fits, at which price, and what was looked at."""
    found = contents.get("solution")
    if found is None:
        return []
    limit = found["limit"] / MIB
    head = f"fits {limit:,.0f} MiB" if contents["fits"] else f"does not fit {limit:,.0f} MiB; does"
    lines = [f"  {head}: {_row(found)}, {found['bytes'] / MIB:,.0f} MiB"]
    lines += [f"    price: {price}" for price in found["price"]]
    for step in found["steps"]:
        verdict = "fits" if step["fits"] else "too much"
        lines.append(f"    looked at {_row(step)}: {step['bytes'] / MIB:,.0f} MiB, {verdict}")
    return lines


def _row(row: dict[str, Any]) -> str:
    fields = {name: row[name] for name in ("batch", "precision", "checkpointing", "allocator")}
    return Setting(patch=tuple(row["patch"]), accumulate=row.get("accumulate", 1), **fields).words
