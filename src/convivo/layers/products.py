"""Products of two matrices where torch's usual library is at half of the processor's speed.

Torch multiplies float32 matrices on CPUs by MKL. On AMD processors MKL does not use the wide
registers of AVX-512, and oneDNN, which torch brings as well, does: 246 GFLOP/s a core against 112
(1,024 x 1,024, Zen 5), 161 to 244 against 77 to 108 in the shapes of a small network.
"""

from functools import cache

import torch
from torch import Tensor

from convivo.processor import processor_words


def product(a: Tensor, b: Tensor) -> Tensor:
    """`torch.mm(a, b)` without a gradient, by the faster library; results differ by rounding.

    Shape: (M, K), (K, N) -> (M, N).
    """
    if a.dtype == torch.float32 and a.device.type == "cpu" and _is_slow_by_mkl():
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return torch.mm(a, b)


@cache
def _is_slow_by_mkl() -> bool:
    """Known of AMD processors with AVX-512; of those with AVX2 alone it is not."""
    return (
        {"AuthenticAMD", "avx512f"} <= processor_words()
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and "AVX512" in torch.backends.cpu.get_cpu_capability()
    )
