"""Published state dicts written out from their rule, and computing by nothing but their numbers."""

import torch
import torch.nn.functional as F

from convivo.architectures.create import create

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def written_out(shapes):
    """Names and shapes; a normalisation is given as its number of channels."""
    flat = {}
    for key, shape in shapes.items():
        norm = {f"{key}.{n}": () if "num" in n else (shape,) for n in NORM}
        flat |= norm if isinstance(shape, int) else {key: shape}
    return flat


def layout(name, **settings):
    """Names and shapes of the published form of a network of ours."""
    with torch.device("meta"):
        net = create(name, in_channels=3, num_classes=1000, **settings)
    return {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}


def shaken(net):
    """The network in evaluation mode, with normalisations that do not pass their input on."""
    generator = torch.Generator().manual_seed(3)
    for key, tensor in net.state_dict().items():
        if tensor.dim() == 1 and tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            if key.endswith(("bias", "running_mean")):
                tensor.sub_(1)
    return net.eval()


def normalised(state, x, name, eps=1e-5):
    """ReLU of batch normalisation by the numbers in a state dict."""
    rows = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
    return F.relu(F.batch_norm(x, *rows, eps=eps))
