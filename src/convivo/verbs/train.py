"""train: a folder of data in, a trained and measured network out.

inspect, split by unit, choose, plan, fit, evaluate, report. Each step leaves its file in the run
folder; `--resume` goes on from whatever is there.
"""

import signal
import time as clock
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import nn

from convivo.config import build, duration, merge, read_toml, size, to_toml
from convivo.data.inspection import Inspection, inspect_data
from convivo.data.split import Split, make_split
from convivo.errors import DataError, Interrupted, PlanError, ShapeError, UsageError
from convivo.files import read_json, write_json, write_text
from convivo.progress import Progress
from convivo.training.allocator import keep_memory
from convivo.training.journal import Journal
from convivo.training.loop import Schedule, fit
from convivo.verbs.calibrate import Fixed, fix_by_epochs, fix_by_time, time_validation
from convivo.verbs.choose import choose
from convivo.verbs.examples import write_examples
from convivo.verbs.facts import facts_of
from convivo.verbs.finish import finish
from convivo.verbs.fixing import draft_plan, set_threads
from convivo.verbs.folder import Folder
from convivo.verbs.parts import Parts, build_parts
from convivo.verbs.run import Run
from convivo.verbs.settings import Settings
from convivo.verbs.setup import build_network, pick_device

PROCESS_BYTES = 300 * 2**20  # an interpreter with torch loaded
CASE_SHARE, REPORT_SECONDS = 1.5, 8.0
TRIAL = {"steps": 1000, "validate_every": 1000, "warmup": 0, "patience": 0, "steps_per_epoch": 1}


def train(
    data: object,
    *,
    out: str | Path,
    net: str | nn.Module | None = None,
    task: str | None = None,
    ram: str | int | None = None,
    time: str | float | None = None,
    epochs: int | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
    config: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    accept: Sequence[str] = (),
    resume: bool = False,
    plan: object = None,
    layout: str | None = None,
    subject: str | None = None,
    labels: str | None = None,
    positive: str | None = None,
    quiet: bool = False,
) -> Run:
    """Train on a folder of data and measure the result on held-out units.

    Args:
        data: a path, an inspection, or a sequence (torch Dataset) of `Sample`s.
        out: the run folder, new or empty; with `resume` an unfinished run.
        net: a name of `networks()`, or your own module (logits out, as our networks give them).
        time: wall clock of the whole command ("20m"); it may end a run early, and says so.
        epochs: passes over the training data; nothing timed enters the plan then.
        settings: "key=value" overrides of the configuration. config: a TOML file of many.
        plan: a plan.json (or the plan of an earlier run) to repeat exactly.
        accept: codes of `error` problems to train in spite of.
    Raises:
        DataError: the data has errors. PlanError: the budget holds no step. UsageError: a bad
        option. ReadError: nothing to read. Interrupted: stopped by a signal, state saved.
    """
    given, began = locals(), clock.monotonic()
    keep_memory()
    seconds = duration(time) if isinstance(time, str) else time
    folder = Folder(Path(out))
    folder.claim(resume=resume)
    own = net if isinstance(net, nn.Module) else None
    before = _until_terminated()
    try:
        if folder.finished:
            return Run(folder.path, network=own)
        wish = _settings(given) if not (folder / "plan.json").exists() else _saved(folder)
        inspection = _inspect(data, wish, quiet)
        budget = _Budget(began, seconds, size(ram) if isinstance(ram, str) else ram)
        if not (folder / "plan.json").exists():
            parts, split, wish = _fix(inspection, wish, budget, own, plan, device, quiet)
            _write_plan(folder, parts.plan, split, wish, quiet)
        else:
            parts, split = _again(folder, inspection, own, device, quiet)
        ended = _fit(folder, parts, budget, quiet)
        finish(folder, parts, inspection, split, ended=ended, began=began, quiet=quiet)
        return Run(folder.path, network=own)
    except BaseException:
        if not (folder / "plan.json").exists():
            folder.abandon()
        raise
    finally:
        folder.release()
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _until_terminated() -> Any:
    """Make SIGTERM an error like any other, so that what was begun is tidied; the old handler.

    The training loop has a gentler answer of its own: it finishes its step first.
    """

    def end(number: int, frame: object) -> NoReturn:
        remedy = "Run the same command again, with --resume if the run folder is there"
        raise Interrupted("train", "the run was stopped", "SIGTERM", remedy, 143)

    try:
        return signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: signals are its business
        return None


class _Budget:
    """The time and memory there are."""

    def __init__(self, began: float, seconds: float | None, ram: int | None) -> None:
        self.began, self.seconds, self.ram = began, seconds, ram
        self.reserve = REPORT_SECONDS

    def left(self) -> float:
        """Seconds left of the budget; only asked where there is one."""
        return self.began + float(self.seconds or 0) - clock.monotonic()


def _settings(given: dict[str, Any]) -> Settings:
    """Command line over --set over --config."""
    base = read_toml(Path(given["config"])) if given["config"] else {}
    values = merge(base, list(given["settings"]))
    wish = build(Settings, values)
    data = given["data"]
    facts = {k: given[k] for k in ("layout", "task", "subject", "labels", "positive") if given[k]}
    where = {"path": str(Path(data).resolve())} if isinstance(data, str | Path) else {}
    accept = {"accept": list(given["accept"])} if given["accept"] else {}
    name = {"name": given["net"]} if isinstance(given["net"], str) else {}
    if isinstance(given["net"], nn.Module):
        name = {"name": type(given["net"]).__name__}
    train: dict[str, Any] = {k: given[k] for k in ("epochs", "threads") if given[k] is not None}
    train |= (
        {"seed": given["seed"]} if given["seed"] or "seed" not in values.get("train", {}) else {}
    )
    train |= {"precision": given["precision"]} if given["precision"] != "auto" else {}
    return wish.model_copy(
        update={
            "data": wish.data.model_copy(update=facts | where | accept),
            "net": wish.net.model_copy(update=name),
            "train": wish.train.model_copy(update=train),
        }
    )


def _saved(folder: Folder) -> Settings:
    return build(Settings, folder.config())


def _inspect(data: object, wish: Settings, quiet: bool) -> Inspection:
    """Look at the data, and refuse what would make a dishonest training."""
    if isinstance(data, Inspection):
        inspection = data
    elif isinstance(data, str | Path):
        want = wish.data
        inspection = inspect_data(
            Path(data), task=want.task, layout=want.layout, subject=want.subject,
            labels=want.labels, positive=want.positive,
        )  # fmt: skip
    else:
        from convivo.verbs.samples import inspection_of

        inspection = inspection_of(data, task=wish.data.task)
    errors = [p for p in inspection.problems if p.severity == "error"]
    refused = [p for p in errors if p.code not in wish.data.accept]
    if refused:
        first = refused[0]
        more = f" (and {len(refused) - 1} more errors)" if len(refused) > 1 else ""
        raise DataError(
            first.path or wish.data.path,
            f"the data must have no errors ({first.code})",
            first.message.rstrip(".") + more,
            f"{first.remedy.rstrip('.')}; or waive it: --accept {first.code}",
        )
    Progress("", 1, quiet=quiet).say(
        f"{inspection.index.layout}: {len(inspection.cases)} cases, {inspection.index.task}, "
        f"{inspection.index.spatial_dims}D"
    )
    return inspection


def _fix(
    inspection: Inspection,
    wish: Settings,
    budget: _Budget,
    own: nn.Module | None,
    given: object,
    device: str,
    quiet: bool,
) -> tuple[Parts, Split, Settings]:
    """Split, choose, read the data, and fix the schedule."""
    split = make_split(inspection, seed=wish.train.seed)
    facts = facts_of(inspection, split.train)
    chosen, reasons = choose(facts, wish)
    threads = set_threads(chosen.train.threads)
    where = pick_device(device)
    if given is not None:
        draft = _given_plan(given)
        network = own if own is not None else build_network(draft)
        reasons = draft["reasons"]
    else:
        draft, network = draft_plan(
            inspection, split, facts, chosen, reasons=reasons, network=own, threads=threads
        )
    _must_fit(draft, budget)
    bars = partial(_bar, quiet=quiet)
    reading = clock.monotonic()
    parts = build_parts(draft, network, inspection, split, device=where, progress=bars)
    per_case = (clock.monotonic() - reading) / max(1, len(split.train) + len(split.val))
    if own is not None:
        _must_answer(parts)
    if "steps" not in draft:
        reading_tests = per_case * CASE_SHARE * len(split.test)
        fixed = _schedule(parts, chosen, budget, reading_tests, len(split.test))
        draft |= _fixed_keys(parts, fixed, chosen)
    # Training starts from the plan's seed, whatever the trials before it drew.
    if own is None:
        fresh = build_network(draft).to(where)
        parts.state.network.load_state_dict(fresh.state_dict())
    parts.state.counters.precision = draft["precision"]
    return parts, split, chosen


def _schedule(parts: Parts, chosen: Settings, budget: _Budget, reading: float, tests: int) -> Fixed:
    wish = chosen.train.precision or "auto"
    if budget.seconds is None or chosen.train.epochs is not None:
        fixed = fix_by_epochs(parts, chosen.train.epochs, wish)
    else:
        budget.reserve += reading + _answering(parts, tests)
        draft = _loop_schedule({**parts.plan, **TRIAL})
        fixed = fix_by_time(parts, draft, wish, budget.left() - budget.reserve)
    return fixed


def _answering(parts: Parts, cases: int) -> float:
    """Seconds to answer `cases` test cases in float32, from validation's cost, and a margin."""
    per_case = time_validation(parts, "fp32", 2.0) / max(1, len(parts.validation))
    return 1.5 * per_case * cases + 4.0


def _fixed_keys(parts: Parts, fixed: Fixed, chosen: Settings) -> dict[str, Any]:
    steps = chosen.train.steps or fixed.steps
    warmup = chosen.train.warmup
    return {
        "precision": fixed.precision,
        "steps": steps,
        "steps_per_epoch": parts.batches.steps_per_epoch,
        "epochs": round(steps / parts.batches.steps_per_epoch, 3),
        "validate_every": chosen.train.validate_every or min(fixed.validate_every, steps),
        "patience": chosen.train.patience if chosen.train.patience is not None else fixed.patience,
        "warmup": warmup if warmup is not None else min(500, max(1, steps // 20)),
        "patch": parts.plan["sampling"]["size"],
        "seconds_per_step": fixed.seconds_per_step,
        "reasons": [*parts.plan["reasons"], *fixed.reasons],
    }


def _loop_schedule(plan: dict[str, Any]) -> Schedule:
    return Schedule(
        steps=plan["steps"],
        validate_every=plan["validate_every"],
        steps_per_epoch=plan["steps_per_epoch"],
        lr=plan["train"]["lr"],
        warmup=plan["warmup"],
        clip=plan["train"]["clip"],
        patience=plan["patience"],
        seed=plan["seed"],
    )


def _must_fit(plan: dict[str, Any], budget: _Budget) -> None:
    """Refuse a memory budget that cannot even hold the weights, their gradients and two moments."""
    least = 16 * plan["parameters"] + PROCESS_BYTES
    if budget.ram is not None and budget.ram < least:
        rule = "the memory must hold the network, its gradients and the optimizer"
        remedy = f"Allow at least {least / 2**20:.0f} MiB, or --set net.width=0.5"
        raise PlanError("--ram", rule, f"{budget.ram / 2**20:.0f} MiB", remedy)


def _must_answer(parts: Parts) -> None:
    """Try the user's own module on one batch: its answer must have the task's shape.

    Raises:
        ShapeError: it has not.
    """
    images, _ = parts.tensors(0)
    with torch.inference_mode():
        answer = parts.state.network.eval()(images)
    got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    positions = tuple(images.shape[2:]) if parts.task.output == "map" else ()
    wanted = (len(images), parts.task.outputs, *positions)
    if got != wanted:
        name = type(parts.state.network).__name__
        rule = f"the network must answer {tuple(images.shape)} with logits {wanted}"
        raise ShapeError(name, rule, got, "Change its last layer")


def _given_plan(given: object) -> dict[str, Any]:
    """An earlier plan, its measurements left behind.

    Raises:
        ReadError: not JSON. UsageError: not the plan of a training.
    """
    document = read_json(Path(given)) if isinstance(given, str | Path) else given
    if hasattr(document, "document"):
        document = document.document()
    if not isinstance(document, dict) or "task_fields" not in document:
        remedy = "Name the plan.json of an earlier training, or plan with the data"
        raise UsageError("--plan", "the plan of a training", "another document", remedy)
    return {key: value for key, value in document.items() if key != "measured"}


def _write_plan(folder: Folder, plan: Any, split: Split, settings: Settings, quiet: bool) -> None:
    """The joints on disk; plan.json last, since it says that the others are there."""
    write_json(folder / "split.json", split.document())
    write_text(folder / "config.toml", to_toml(settings.model_dump(exclude_none=True)))
    write_json(folder / "plan.json", plan)
    say = Progress("", 1, quiet=quiet).say
    for reason in plan["reasons"]:
        say(f"  {reason}")


def _again(
    folder: Folder, inspection: Inspection, own: nn.Module | None, device: str, quiet: bool
) -> tuple[Parts, Split]:
    """The parts of an unfinished run, from its own plan and split."""
    plan = folder.json("plan.json")
    split = Split.from_document(folder.json("split.json"))
    set_threads(plan["threads"])
    network = own if own is not None else build_network(plan)
    parts = build_parts(
        plan, network, inspection, split,
        device=pick_device(device), progress=partial(_bar, quiet=quiet),
    )  # fmt: skip
    parts.state.counters.precision = plan["precision"]
    return parts, split


def _fit(folder: Folder, parts: Parts, budget: _Budget, quiet: bool) -> str:
    plan = dict(parts.plan)
    progress = Progress("step", plan["steps"], unit="steps", quiet=quiet)
    journal = Journal(folder.path, progress)
    journal.reset_control()
    if journal.resume(parts.state):
        progress.first = parts.state.step
        progress.say(f"going on after step {parts.state.step} of {plan['steps']}")

    def validate(network: nn.Module) -> dict[str, Any]:
        write_examples(folder / "examples", parts, network, parts.state.step)
        return parts.validate(network)

    deadline = None
    if budget.seconds is not None:
        deadline = clock.monotonic() + budget.left() - budget.reserve
    ended = fit(
        parts.state, parts.tensors, parts.task.step,
        schedule=_loop_schedule(plan), validate=validate, journal=journal, deadline=deadline,
    )  # fmt: skip
    progress.close()
    return ended


def _bar(label: str, total: int, *, quiet: bool) -> Progress:
    return Progress(label, total, unit="cases", quiet=quiet)
