"""Which precisions there are to compute answers in, and what each of them needs."""

from convivo.errors import UsageError
from convivo.inference.backends import missing
from convivo.training.precision import multiplies_bf16

PRECISIONS = ("auto", "fp32", "bf16", "int8")
EXPORTED = ("auto", "fp32", "int8")


def must_compute_in(backend: str, precision: str) -> None:
    """Refuse a precision that a backend does not compute in.

    Raises:
        UsageError: it does not, or not on this processor, or a library is not installed.
    """
    if precision not in PRECISIONS:
        rule = f"one of {', '.join(PRECISIONS)}"
        raise UsageError("--precision", rule, repr(precision), "Use --precision auto")
    if precision in ("auto", "fp32"):
        return
    if backend != "openvino":
        rule, got = f"only openvino computes in {precision}", f"--backend {backend}"
        raise UsageError("--precision", rule, got, "Use --backend openvino")
    if precision == "bf16" and not multiplies_bf16():
        rule, remedy = "the processor must multiply bf16 itself", "Use --precision fp32"
        raise UsageError("--precision", rule, "one that does not", remedy)
    if precision == "int8":
        must_quantize()


def must_export_in(to: str, precision: str) -> None:
    """Refuse a precision that a form of an export does not have.

    Raises:
        UsageError: it does not, or a library is not installed.
    """
    if precision not in EXPORTED:
        rule = f"one of {', '.join(EXPORTED)}"
        raise UsageError("--precision", rule, repr(precision), "Use --precision auto")
    if precision == "int8" and to != "openvino":
        rule, remedy = "only OpenVINO models compute in int8", "Use --to openvino"
        raise UsageError("--precision", rule, f"--to {to}", remedy)
    if precision == "int8":
        must_quantize()


def must_quantize() -> None:
    """Refuse int8 before anything is read.

    Raises:
        UsageError: a library is not installed.
    """
    if lacks := missing("int8"):
        rule, got = "int8 needs its libraries", f"no package {', '.join(lacks)}"
        raise UsageError("--precision", rule, got, "Install it: pip install 'convivo[int8]'")
