"""How many steps, in which precision: fixed before the first step, from epochs or from the time.

With epochs nothing is timed. With a time budget a few real steps and validations are timed and
undone, and the schedule is made to fit.
"""

import time
from copy import deepcopy
from dataclasses import dataclass, replace
from statistics import fmean, median

import torch

from convivo.data.store import Store
from convivo.errors import PlanError
from convivo.layers.precision import autocast
from convivo.shortage import is_shortage
from convivo.training.allocator import return_memory, set_allocator
from convivo.training.loop import Schedule
from convivo.training.precision import has_fast_bf16, is_sound
from convivo.verbs.parts import Parts, build_state

# of moments, which are many of few records: looked at more often, the records are learnt instead
MOMENT_EPOCHS, MOMENT_STEPS = 3, 1000
MOST_EPOCHS = 300  # past this a small set only over-fits; time left over is given back
LEAST_STEPS, LEAST_ROUNDS = 20, 4  # of training, of validation
VALIDATION_SHARE = 0.1
TRIAL_SHARE, TRIAL_STEPS = 0.04, 12
DEFAULT_STEPS = 3000
SMALL_MACS = 20e6
PRODUCTS = {"lenet5"}  # small too, but its convolutions are products of ours: `layers.conv_pool`
# A schedule that the clock cuts off never reaches its small learning rates: rather end early.
MARGIN, EXAMPLES = 1.1, 1.3
SAVING_SECONDS, DISK_BYTES_PER_SECOND = 0.1, 300e6


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What the plan takes over: the schedule, the precision, and what was measured on the way.

    tried: what was done in float32 to choose the precision: "steps", "gradients" or nothing.
    why: so many steps. why_precision: that number format.
    """

    steps: int
    validate_every: int
    patience: int
    precision: str
    seconds_per_step: float | None
    seconds_per_validation: float | None
    why: str
    why_precision: str
    tried: str = ""


def candidate_precision(parts: Parts, wish: str) -> tuple[str, str]:
    """The precision to use and why, by rule and soundness alone; nothing is timed."""
    if wish != "auto":
        return wish, f"{wish} as asked"
    if parts.device.type == "cuda":
        return (
            ("bf16", "bf16: the GPU has it") if torch.cuda.is_bf16_supported() else ("fp32", "fp32")
        )
    if not has_fast_bf16():
        return "fp32", "fp32: this processor is no faster in bf16"
    if not _is_sound(parts):
        return "fp32", "fp32: bf16 gradients of this network are not sound on this machine"
    return "bf16", "bf16: the processor multiplies it faster, and its gradients agree with fp32"


def _is_sound(parts: Parts) -> bool:
    """Of bf16, tried on one pass; what there is no memory to try is not used."""
    images, targets = (t.tensor_split(parts.state.counters.passes)[0] for t in parts.tensors(0))
    network = parts.state.network.train()
    try:
        return is_sound(network, lambda: parts.task.step(network, images, targets), "bf16")
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        return False


def fix_by_epochs(parts: Parts, epochs: int | None, wish: str) -> Fixed:
    """A schedule of whole epochs; with none asked for, enough of them for about 3,000 steps."""
    per_epoch = parts.batches.steps_per_epoch
    if epochs is None and _tells_moments(parts):
        epochs = -(-_most_steps(parts) // per_epoch)
    elif epochs is None:
        epochs = max(5, min(MOST_EPOCHS, -(-DEFAULT_STEPS // per_epoch)))
    if wish == "auto" and not _worth_bf16(parts):
        precision, why = "fp32", "fp32: signals and small networks gain little from bf16"
    else:
        precision, why = candidate_precision(parts, wish)
    return Fixed(
        steps=epochs * per_epoch,
        validate_every=per_epoch,
        patience=max(20, epochs // 2),
        precision=precision,
        seconds_per_step=None,
        seconds_per_validation=None,
        why=f"{epochs} epochs of {per_epoch} steps",
        why_precision=why,
        tried="gradients" if wish == "auto" else "",
    )


def _worth_bf16(parts: Parts) -> bool:
    """bf16 pays where convolutions dominate: two or three dimensions, a network of some size."""
    per_item = int(parts.plan["macs"] or 0) / max(1, parts.plan["batch"])
    network = parts.plan["network"]
    return network["spatial_dims"] > 1 and (per_item > SMALL_MACS or network["name"] in PRODUCTS)


def fix_by_time(parts: Parts, schedule: Schedule, wish: str, seconds: float) -> Fixed:
    """The longest schedule that fits into `seconds` of training and validation.

    Raises:
        PlanError: not even a few steps fit.
    """
    precision, why = candidate_precision(parts, wish)
    trial = seconds * TRIAL_SHARE
    began = time.monotonic()
    compared = {precision, "fp32"} if wish == "auto" else {precision}
    per_step = {p: time_steps(parts, schedule, p, trial) for p in compared}
    if wish == "auto" and precision != "fp32" and per_step["fp32"] <= per_step[precision]:
        precision, why = "fp32", "fp32: as fast here as bf16"
    step = per_step[precision]
    validation = time_validation(parts, precision, trial) * EXAMPLES + _saving(parts)
    left = seconds - (time.monotonic() - began)
    most, per_epoch = _most_steps(parts), parts.batches.steps_per_epoch
    steps, every = _share(left, step * MARGIN, validation, per_epoch, most)
    if steps < LEAST_STEPS:
        need = LEAST_STEPS * step * MARGIN + LEAST_ROUNDS * validation - left
        raise PlanError(
            "--time", "the time must hold a few training steps",
            f"{max(left, 0):.0f} s left for training, steps of {step:.2g} s",
            f"Allow {need + 1:.0f} s more, or choose a smaller network or batch",
        )  # fmt: skip
    return Fixed(
        steps=steps,
        validate_every=every,
        patience=max(10, steps // every // 2),
        precision=precision,
        seconds_per_step=step,
        seconds_per_validation=validation,
        why=f"{steps} steps of {step:.3f} s fit into the time, a validation takes "
        f"{validation:.1f} s",
        why_precision=why,
        tried="steps" if wish == "auto" else "",
    )


def _saving(parts: Parts) -> float:
    """Seconds to write weights and state after a validation: four copies of every parameter."""
    return SAVING_SECONDS + 16 * int(parts.plan["parameters"]) / DISK_BYTES_PER_SECOND


def _tells_moments(parts: Parts) -> bool:
    return parts.plan["task"] == "classify" and parts.plan["sampling"]["mode"] == "window"


def _most_steps(parts: Parts) -> int:
    """Steps beyond which a training set is only over-fitted; time left over is given back."""
    per_epoch = parts.batches.steps_per_epoch
    if _tells_moments(parts):
        return max(MOMENT_EPOCHS * per_epoch, MOMENT_STEPS)
    return max(MOST_EPOCHS * per_epoch, DEFAULT_STEPS)


def _share(
    left: float, step: float, validation: float, per_epoch: int, most: int
) -> tuple[int, int]:
    """Steps, and steps between validations, that use `left` seconds."""
    rounds = int(min(60, max(LEAST_ROUNDS, left * VALIDATION_SHARE / max(validation, 1e-3))))
    steps = int((left - rounds * validation) / step)
    steps = min(steps, most)
    every = max(1, -(-steps // rounds))
    # Whole epochs where they are short, so that a validation does not come after half a look.
    every = -(-every // per_epoch) * per_epoch if per_epoch * 2 < every else every
    return steps, min(every, max(steps, 1))


def time_steps(parts: Parts, schedule: Schedule, precision: str, seconds: float) -> float:
    """Seconds of a real step, batch and augmentation included; the state is put back."""
    network = parts.state.network
    kept = deepcopy(network.state_dict())
    average = parts.state.average
    trial = build_state(parts.plan, network, average)
    trial.counters = replace(parts.state.counters, precision=precision)
    times, began = [], time.monotonic()
    return_memory()  # in the first step, as in a training
    while len(times) < 3 or (len(times) < TRIAL_STEPS and time.monotonic() - began < seconds / 2):
        start = time.monotonic()
        images, targets = parts.tensors(len(times))
        parts.update(trial, parts.step, images, targets, schedule)
        times.append(time.monotonic() - start)
        set_allocator(parts.plan.get("allocator", "keep"))
    network.load_state_dict(kept)
    if average is not None:
        average.load_state_dict(kept)
    network.zero_grad(set_to_none=True)
    # of two networks some steps are longer than others, on purpose
    return median(times[1:]) if trial.rival is None else fmean(times[1:])


def time_validation(parts: Parts, precision: str, seconds: float) -> float:
    """Seconds of a whole validation, from as many of its cases as the trial has time for."""
    network = parts.state.network.eval()
    total, count = len(parts.validation), min(2, len(parts.validation))
    if parts.judge is not None:  # it makes its images whatever the cases
        count = total
    while True:
        some = _first(parts.validation, count)
        start = time.monotonic()
        with torch.inference_mode(), autocast(precision, parts.device.type):
            parts.validate(network, some)
        took = time.monotonic() - start
        if count == total or took > seconds / 8:
            return took * total / count
        count = min(total, count * 8)


def _first(store: Store, count: int) -> Store:
    """`count` cases of a store, evenly spread."""
    return store.some([round(i * (len(store) - 1) / max(1, count - 1)) for i in range(count)])
