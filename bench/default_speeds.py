"""Measure this machine's speeds and write them as the package's defaults.

The same measurements as `convivo doctor` makes; where there are none, plans take these. Needs a
quiet machine; say in `planning/timing.py` (`default_speeds`) which one it was.
Run: python bench/default_speeds.py, or with --out FILE to look at them first
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import convivo
from convivo.planning.speeds import MEASUREMENTS, measure_speeds
from convivo.processor import processor_name
from convivo.progress import Progress

THREADS = 1  # plans share the work out over the threads in use
DIGITS = 3
DEFAULTS = Path(convivo.__file__).parent / "planning" / "default_speeds.json"


def rounded(value: Any) -> Any:
    """The same with as many digits as a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, Sequence) else value


def as_text(speeds: Mapping[str, Any]) -> str:
    """JSON with a line for each kind of operation, so that a difference can be read.

    Example:
        >>> print(as_text({"form": 1, "weight": {"conv_data.fp32": [[1, 2e-10], [4, 1e-10]]}}))
        {
         "form": 1,
         "weight": {
          "conv_data.fp32": [[1, 2e-10], [4, 1e-10]]
         }
        }
        <BLANKLINE>
    """
    parts = []
    for name, part in speeds.items():
        if isinstance(part, Mapping):
            rows = ",\n".join(f'  "{key}": {json.dumps(item)}' for key, item in part.items())
            parts.append(f' "{name}": {{\n{rows}\n }}')
        else:
            parts.append(f' "{name}": {json.dumps(part)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--out", type=Path, default=DEFAULTS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bar = Progress("measuring", len(MEASUREMENTS), unit="parts")
    done = iter(range(1, len(MEASUREMENTS) + 1))
    speeds = measure_speeds(tick=lambda: bar.update(next(done)))
    bar.close()
    args.out.write_text(as_text(rounded(speeds)), encoding="utf-8")
    print(f"{args.out}: {processor_name()}, {args.threads} thread(s), torch {torch.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
