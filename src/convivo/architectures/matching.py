"""A network and the tensors of a file, held against each other name by name for `pretrained.py`."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from convivo.architectures.blocks import WEIGHTED
from convivo.architectures.inflation import PUBLISHED_DIMS, fit_kernel, fit_linear
from convivo.errors import UsageError
from convivo.layers import Conv, UpConv

BACKBONE = "backbone."
UNCOUNTED = "num_batches_tracked"  # older files have none, and nothing follows from it
SHOWN = 3  # differences named in an error


class Match:
    """Which tensor of a file goes where, and how.

    Args:
        net: the network.
        state: the file's tensors, under the network's names.
        inflation: "centre" or "mean".
        keep_head: take over the layers that answer, where they fit.
    """

    def __init__(
        self, net: nn.Module, state: Mapping[str, Tensor], *, inflation: str, keep_head: bool
    ) -> None:
        self.net, self.state = net, state
        self.inflation, self.keep_head = inflation, keep_head
        self.wanted: dict[str, Tensor] = net.state_dict()
        modules = dict(net.named_modules())
        self.layers = {f"{n}.weight": m for n, m in modules.items() if isinstance(m, WEIGHTED)}
        kernels = {k: m for k, m in self.layers.items() if isinstance(m, Conv | UpConv)}
        self.first = next((k for k, m in kernels.items() if isinstance(m, Conv)), "")
        # axes of the network, and of the file's kernels
        self.want = next((m.spatial_dims for m in kernels.values()), PUBLISHED_DIMS)
        self.have = next((state[k].dim() - 2 for k in kernels if k in state), self.want)
        self.head = self._head(modules)
        self.classes = self._classes()

    def _head(self, modules: Mapping[str, nn.Module]) -> tuple[str, ...]:
        """Prefixes of the layers that answer: the last ones that have as many outputs as the last.

        With them whatever stands in one list with it: there may be an answer for each resolution.
        """
        last, *before = list(reversed(self.layers)) or [""]
        head = [last]
        for key in before:
            alike = isinstance(self.layers[key], nn.Linear) == isinstance(
                self.layers[last], nn.Linear
            )
            if not alike or _outputs(self.layers[key]) != _outputs(self.layers[last]):
                break
            head.append(key)
        names = [key.removesuffix(".weight") for key in head]
        siblings = names[0].rpartition(".")[0]
        if isinstance(modules.get(siblings), nn.ModuleList):
            names.append(siblings)
        return tuple(f"{name}." for name in names)

    def _classes(self) -> tuple[int, int]:
        """How many answers the network gives, and the network of the file."""
        for key in [f"{prefix}weight" for prefix in self.head]:
            layer, tensor = self.layers.get(key), self.state.get(key)
            if layer is None or tensor is None or tensor.dim() < 2:
                continue
            # a transposed convolution has its outputs second; in groups of one they are the first
            axis = int(isinstance(layer, UpConv) and self.wanted[key].shape[1] > 1)
            return _outputs(layer), tensor.shape[axis]
        return 0, 0

    def check(self, source: str) -> None:
        """Refuse the weights of another network before anything is changed.

        Raises:
            UsageError: a tensor is missing, superfluous or of a shape that cannot be adapted.
        """
        if self.inflation == "mean" and self.have < min(self.want, PUBLISHED_DIMS):
            rule = f"mean inflation is for weights of images, of {PUBLISHED_DIMS} axes"
            remedy = 'Use inflation="centre"'
            raise UsageError(source, rule, f"weights of {self.have}", remedy)
        wrong = list(self._differences())
        if wrong:
            more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            rule = f"the weights must be those of this network ({type(self.net).__name__})"
            remedy = "Name the network they are of, with its width and options, or leave them out"
            raise UsageError(source, rule, "; ".join(wrong[:SHOWN]) + more, remedy)

    def _differences(self) -> Iterator[str]:
        for key, tensor in self.wanted.items():
            if key not in self.state:
                if not self._may_miss(key):
                    yield f"no {key}"
            elif not self._is_new(key) and self._fitted(key, self.state[key].to("meta")) is None:
                yield f"{key} {tuple(self.state[key].shape)} for {tuple(tensor.shape)}"
        yield from (f"{key} besides" for key in self.unknown() if not self._may_ignore(key))

    def unknown(self) -> list[str]:
        """The file's names that the network does not have."""
        return [key for key in self.state if key not in self.wanted]

    def counted(self) -> list[str]:
        """The network's names, without those that are no weights."""
        return [key for key in self.wanted if not key.endswith(UNCOUNTED)]

    def _may_miss(self, key: str) -> bool:
        beside = hasattr(self.net, "backbone") and not key.startswith(BACKBONE)
        return beside or key.startswith(self.head) or key.endswith(UNCOUNTED)

    def _may_ignore(self, key: str) -> bool:
        """Whole parts that the network does not have, such as another's head; more of its own."""
        inside = hasattr(self.net, "backbone") and key.startswith(BACKBONE)
        root = self.net.get_submodule("backbone") if inside else self.net
        part = key.removeprefix(BACKBONE if inside else "").partition(".")[0]
        return part not in dict(root.named_children()) or key.startswith(self.head)

    def _is_new(self, key: str) -> bool:
        """Whether a tensor belongs to an answer for other classes."""
        if not self.keep_head and key.startswith(self.head):
            return True
        here, there = self.classes
        if here == there:
            return False
        old, new = self.state[key].shape[:2], self.wanted[key].shape[:2]  # outputs and inputs
        rows = list(zip(old, new, strict=False))
        explained = len(old) == len(new) and all(a == b or (a, b) == (there, here) for a, b in rows)
        return explained and any(a != b for a, b in rows)

    def _fitted(self, key: str, tensor: Tensor) -> tuple[Tensor, str] | None:
        """A tensor of the file in the network's shape, and how; None where there is no way."""
        shape, hows = self.wanted[key].shape, []
        if key == self.first and tensor.dim() > 1 and tensor.shape[1] != shape[1]:
            tensor = _with_channels(tensor, shape[1])
            hows.append(f"adapted to {shape[1]} channel" + "s" * (shape[1] > 1))
        if self.have != self.want:
            other = self._with_axes(key, tensor)
            if other is not None:
                tensor = other
                how = f"inflated ({self.inflation})" if self.want > self.have else "summed"
                hows.append(f"{how} from {self.have}D to {self.want}D")
        return (tensor, ", ".join(hows)) if tensor.shape == shape else None

    def _with_axes(self, key: str, tensor: Tensor) -> Tensor | None:
        """For another number of axes, or None where the tensor has none."""
        shape, layer = self.wanted[key].shape, self.layers.get(key)
        if isinstance(layer, nn.Linear):
            if tensor.dim() != 2 or tensor.shape == shape:
                return None
            sizes = (self._channels_before(key), shape[1])
            return fit_linear(tensor, self.have, self.want, *sizes, self.inflation)
        leading = tensor.dim() - self.have
        if leading < 1 or leading != len(shape) - self.want:
            return None
        return fit_kernel(tensor, self.have, layer, shape[leading:], self.inflation)

    def _channels_before(self, key: str) -> int:
        """Channels of the grid that a linear layer is behind: those of the last convolution."""
        channels = int(getattr(self.net, "in_channels", 1))
        for name, layer in self.layers.items():
            if name == key:
                break
            channels = layer.out_channels if isinstance(layer, Conv | UpConv) else channels
        return channels

    @torch.no_grad()
    def copy(self) -> dict[str, str]:
        """Take what fits, one tensor after the other.

        Returns:
            The names taken, each with how it was adapted ("" as it is).
        """
        taken: dict[str, str] = {}
        for key, target in self.wanted.items():
            if key in self.state and not self._is_new(key):
                fitted = self._fitted(key, self.state[key])
                assert fitted is not None, f"{key} was checked"
                target.copy_(fitted[0])
                taken[key] = fitted[1]
        return taken


def _outputs(layer: nn.Module) -> int:
    return int(getattr(layer, "out_features", 0) or getattr(layer, "out_channels", 0))


def _with_channels(weight: Tensor, channels: int) -> Tensor:
    """The first layer's kernels (O, f, *K) for an input of other channels."""
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    turns = [c % weight.shape[1] for c in range(channels)]
    return weight[:, turns] * (weight.shape[1] / channels)
