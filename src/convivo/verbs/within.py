"""plan --ram, --vram: the settings that stay within the memory there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from torch import nn

from convivo.config import size
from convivo.data.store import HALF_BEYOND_BYTES
from convivo.errors import PlanError
from convivo.planning.budget import MIB, MOST, Setting, Solution, Space, solve
from convivo.planning.overhead import approximate
from convivo.planning.step import Loss
from convivo.planning.step_cost import StepCost
from convivo.verbs.choose import Facts
from convivo.verbs.settings import Settings

IN_FLIGHT = 2  # batches that wait on the way to an accelerator


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

    batch: None for the largest, at most `most`. precision: "auto" leaves the number format open.
    smaller: whether the patch may shrink. kept: bytes that the data takes. task, loss: see
    `StepCost`.
    """

    mode: str
    optimizer: str
    precision: str
    batch: int | None = None
    smaller: bool = True
    most: int = MOST
    kept: int = 0
    task: str | None = None
    loss: Loss | None = None


def limits_of(ram: str | int | None, vram: str | int | None) -> Limits:
    """The limits as bytes.

    Raises:
        UsageError: not a size.
    """
    return Limits(
        ram=None if ram is None else size(ram, "--ram"),
        vram=None if vram is None else size(vram, "--vram"),
    )


def within(net: nn.Module, shape: tuple[int, ...], ask: Ask, limits: Limits) -> Solution:
    """What fits the limits; the tensors are where the work is done.

    Raises:
        PlanError: nothing does. ShapeError: the network does not take that input.
    """
    channels, *size = shape
    patch = tuple(size)
    precisions = ("fp32", "bf16") if ask.precision == "auto" else (ask.precision,)
    cost = StepCost(
        net,
        channels,
        mode=ask.mode,
        optimizer=ask.optimizer,
        task=ask.task,
        loss=ask.loss,
        lasting=ask.kept,
        apart=limits.vram is not None,
    )
    space = Space(
        patches=cost.patches(patch) if ask.smaller else [patch],
        precisions=precisions,
        batch=ask.batch,
        least=cost.least_batch(Setting(batch=1, patch=patch, precision=precisions[0])),
        most=ask.most,
    )
    if limits.vram is None:
        return solve(cost, int(limits.ram or 0), space)
    found = solve(cost, limits.vram, space, option="--vram")
    _must_hold_the_rest(found.setting, channels, ask, limits.ram)
    return found


def _must_hold_the_rest(found: Setting, channels: int, ask: Ask, ram: int | None) -> None:
    """Beside an accelerator the main memory holds the process, the data and the next batches."""
    batches = IN_FLIGHT * 4 * found.batch * channels * prod(found.patch)
    _, least = approximate(batches, train=ask.mode == "train", lasting=ask.kept)
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
    precision = "fp32" if ask.precision == "auto" else ask.precision
    asked = Setting(batch=ask.batch or 1, patch=shape[1:], precision=precision)
    if not limits:
        return asked, {}
    solution = within(net, shape, ask, limits)
    fits = ask.batch is None or solution.setting == asked
    return solution.setting if fits else asked, {"fits": fits, "solution": solution.document()}


def ask_for(
    facts: Facts,
    draft: Mapping[str, Any],
    wish: Settings,
    counting: Mapping[str, Any],
    *,
    cases: int,
    loss: Loss | None,
    limited: bool,
) -> Ask:
    """What a plan of data asks: only whole cases keep their size, and no batch exceeds the items.

    Args:
        draft: the plan without limits. wish: what the user set, which stays.
        counting: mode, optimizer and precision of the command. cases: those kept in memory.
        limited: whether there is a limit to solve for; else the batch is the draft's.
    """
    return Ask(
        mode=counting["mode"],
        optimizer=counting["optimizer"],
        precision=counting["precision"],
        batch=wish.train.batch if limited else draft["batch"],
        smaller=facts.task == "segment" and wish.input.size is None,
        most=facts.items if facts.task == "classify" else MOST,
        kept=stored_bytes(facts, draft, cases),
        task=facts.task,
        loss=loss,
    )


def with_setting(settings: Settings, found: Setting) -> Settings:
    """The configuration with a setting's batch, patch and number format."""
    precision = settings.train.precision if found.precision == "fp32" else found.precision
    train = settings.train.model_copy(update={"batch": found.batch, "precision": precision})
    seen = settings.input.model_copy(update={"size": list(found.patch)})
    return settings.model_copy(update={"train": train, "input": seen})


def stored_bytes(facts: Facts, draft: Mapping[str, Any], cases: int) -> int:
    """Bytes of the prepared images, all of the median size: float32, or float16 where many."""
    grid, spacing = draft["preparation"]["size"], draft["preparation"]["spacing"]
    if grid is None:
        have = facts.spacing or (1.0,) * facts.spatial_dims
        rows = zip(facts.shape, have, spacing or have, strict=True)
        grid = [max(1, round(n * old / new)) for n, old, new in rows]
    full = 4 * cases * draft["network"]["in_channels"] * prod(grid)
    return full if full <= HALF_BEYOND_BYTES else full // 2


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
    fields = {name: row[name] for name in ("batch", "precision", "checkpointing")}
    return Setting(patch=tuple(row["patch"]), accumulate=row.get("accumulate", 1), **fields).words
