"""The verb `nets`: which networks there are, and what one of them looks like inside."""

from torch import device, nn

from convivo.architectures import ARCHITECTURES
from convivo.architectures.create import architecture, create, options
from convivo.layers.kernels import DIMENSIONS
from convivo.planning.counting import LayerCount, count

# what follows every convolution would make two lines of three
QUIET = ("Norm", "ReLU", "LeakyReLU", "Tanh", "Identity", "Dropout")


def networks() -> dict:
    """Every network with its parameters in 1D, 2D and 3D, as the contract's JSON document.

    `counted` says for which input and classes: those of the published number where there is one.
    Nothing is allocated.
    """
    return {"schema": 1, "nets": [_entry(name) for name in ARCHITECTURES]}


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
    with device("meta"):
        return create(
            name,
            spatial_dims=spatial_dims,
            in_channels=entry.counted["in_channels"],
            num_classes=entry.counted["num_classes"],
            input_size=entry.counted["samples_per_axis"],
        )


def _parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def describe(name: str) -> str:
    """A network in words and layers, for people.

    Raises:
        UsageError: no network of that name.
    """
    entry = architecture(name)
    channels, samples = entry.counted["in_channels"], entry.counted["samples_per_axis"]
    counts = count(_default(name, 2), (channels, samples, samples))
    classes = entry.counted["num_classes"]
    totals = ", ".join(f"{d}D {_parameters(_default(name, d)):,}" for d in DIMENSIONS)
    lines = [
        f"{name} ({entry.year}): {entry.paper}",
        f"task        {', '.join(entry.tasks)}",
        f"parameters  {totals} (input channels {channels}, classes {classes})",
        *[f"option      {key}={value!r}" for key, value in options(name).items()],
        "",
        f"In 2D, for an input of {channels} x {samples} x {samples}: {counts.macs:,} multiply-"
        "accumulates,",
        f"receptive field {_by(counts.receptive_field)}. Normalisations, activations and dropout "
        "are left out here.",
        "",
        *_table([row for row in counts.layers if row.type not in QUIET]),
    ]
    return "\n".join(lines)


def _by(sizes: tuple[int, ...] | None) -> str:
    return "-" if sizes is None else " x ".join(map(str, sizes))


def _table(rows: list[LayerCount]) -> list[str]:
    head = ("layer", "type", "output", "parameters", "multiply-acc.", "sees")
    cells = [head] + [
        (r.name, r.type, _by(r.output), f"{r.parameters:,}", f"{r.macs:,}", _by(r.receptive_field))
        for r in rows
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    numbers = (3, 4)
    return [
        "  ".join(
            cell.rjust(w) if i in numbers else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
