"""From tensors to what an accelerator holds: context, workspaces, holes of torch's allocator.

Defaults for CUDA with torch 2, as documented there and in NVIDIA's notes; not measured by us.
"""

from math import ceil

MIB = 2**20
CONTEXT = 480 * MIB  # the driver's part, and the kernels that are loaded on first use
WORKSPACES = 64 * MIB  # cuBLAS keeps 8 MiB, 32 from Hopper on; cuDNN's come and go
HOLES = (
    0.05  # share of the tensors: blocks are multiples of 512 B, out of segments of 2 MiB and more
)


def on_accelerator(tensors: int) -> int:
    """Bytes that the accelerator holds of a process whose tensors take these at their peak.

    Example:
        >>> on_accelerator(1000 * MIB) // MIB
        1594
    """
    return CONTEXT + WORKSPACES + ceil(tensors * (1 + HOLES))
