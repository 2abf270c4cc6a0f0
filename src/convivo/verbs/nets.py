"""The verb `nets`: which networks there are, and what one of them looks like inside."""

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import architecture, create, options
from convivo.architectures.dcgan import DCGAN
from convivo.architectures.outline import outlined
from convivo.geometry import Axes
from convivo.layers.kernels import DIMENSIONS
from convivo.planning.flow import flow, without
from convivo.planning.receptive_field import FieldTracker
from convivo.verbs.net_tree import draw_tree
from convivo.verbs.net_valley import draw_valley
from convivo.verbs.net_words import by, is_quiet, quiet_words

DRAWN = 2  # of the three forms
KEY = "Conv 3x3 /2 g4, 64: kernel 3x3, stride 2, 4 groups, gives 64 channels."


def networks(name: str | None = None) -> dict:
    """Every network with its parameters in 1D, 2D and 3D, as the contract's JSON document.

    `counted` says for which input and classes: those of the published number where there is one.
    Nothing is allocated.

    Args:
        name: only this one.
    Raises:
        UsageError: no network of that name.
    """
    names = ARCHITECTURES if name is None else [name]
    return {"schema": 1, "nets": [_entry(name) for name in names]}


def _entry(name: str) -> dict:
    entry = architecture(name)
    counts = {str(d): _parameters(_default(name, d)) for d in DIMENSIONS}
    counted = dict(entry.counted)
    if not entry.needs_input_size:  # the number of parameters does not depend on it
        del counted["samples_per_axis"]
    return {
        "name": name,
        "spatial_dims": list(DIMENSIONS),
        "parameters": counts,
        "year": entry.year,
        "paper": entry.paper,
        "tasks": list(entry.tasks),
        "counted": counted,
    }


def _default(name: str, spatial_dims: int) -> nn.Module:
    """The default form for the setting it is counted in, without weights."""
    entry = architecture(name)
    with outlined():
        return create(
            name,
            spatial_dims=spatial_dims,
            in_channels=entry.counted["in_channels"],
            num_classes=entry.counted["num_classes"],
            input_size=entry.counted["samples_per_axis"],
        )


def _parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def listed(document: dict) -> str:
    """The networks as a table for people: parameters in 2D, in millions."""
    head = f"{'network':<18}{'task':<13}{'2D, million':>11}  year  paper"
    rows = [
        f"{row['name']:<18}{row['tasks'][0]:<13}{row['parameters']['2'] / 1e6:>11.2f}"
        f"  {row['year']}  {row['paper']}"
        for row in document["nets"]
    ]
    return "\n".join([head, *rows])


def describe(name: str) -> str:
    """A network in words and as a drawing, for people.

    Raises:
        UsageError: no network of that name.
    """
    entry = architecture(name)
    nets = {d: _default(name, d) for d in DIMENSIONS}
    channels, classes = entry.counted["in_channels"], entry.counted["num_classes"]
    totals = ", ".join(f"{d}D {_parameters(net):,}" for d, net in nets.items())
    lines = [
        f"{name} ({entry.year}): {entry.paper}",
        f"task        {', '.join(entry.tasks)}",
        f"parameters  {totals} (input channels {channels}, classes {classes})",
        *([f"option      {k}={v!r}" for k, v in options(name).items()] or ["option      none"]),
    ]
    size = (entry.counted["samples_per_axis"],) * DRAWN
    for part, module, shape in _parts(nets[DRAWN], (channels, *size)):
        lines += ["", *_part(part, module, shape)]
    return "\n".join(lines)


def _parts(net: nn.Module, shape: Axes) -> list[tuple[str, nn.Module, Axes]]:
    """Name, module and input shape of what is drawn: the halves of a network that has two."""
    if isinstance(net, DCGAN):
        vector = (net.latent,)
        return [("generator", net.generator, vector), ("discriminator", net.discriminator, shape)]
    return [("", net, shape)]


def _part(name: str, net: nn.Module, shape: Axes) -> list[str]:
    """What it costs and sees, and its drawing; all from a single pass."""
    tracker, outputs = FieldTracker(), []
    net.register_forward_pre_hook(lambda _, inputs: tracker.start(inputs[0]))
    net.register_forward_hook(lambda *call: outputs.append(call[2]))
    with FlopCounterMode(display=False) as flops, tracker:
        calls = flow(net, shape)
    drawn, grid = without(calls, is_quiet), shape[1:]
    lines = draw_valley(drawn, grid) if grid else None
    field = tracker.field(outputs, grid) if grid else None  # of a vector nothing is seen
    facts = [f"{flops.get_total_flops() // 2:,} multiply-accumulates"]
    facts += [f"receptive field {by(field)}"] if field else []
    inside = quiet_words(calls)
    return [
        f"{name or f'In {DRAWN}D'}, for an input of {by(shape)}: {', '.join(facts)}.",
        *([f"Not drawn: {inside}."] if inside else []),
        KEY,
        "",
        *(lines or draw_tree(drawn)),
    ]
