"""The processor, as the system tells of it: its name and what it can. No library is asked."""

import platform
from functools import cache
from pathlib import Path

TELLS = Path("/proc/cpuinfo")  # elsewhere only the name is known


@cache
def _told() -> str:
    try:
        return TELLS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def processor_name() -> str:
    """As its maker calls it."""
    names = [line.partition(":")[2] for line in _told().splitlines() if "model name" in line]
    return names[0].strip() if names else platform.processor() or platform.machine()


@cache
def processor_words() -> frozenset[str]:
    """What its features are called, such as "avx512_bf16", among all else that is told of it."""
    return frozenset(_told().split())
