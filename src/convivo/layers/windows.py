"""The windows of pooling and unpooling, in whole numbers: how many there are, what they cover."""

from dataclasses import dataclass

from convivo.errors import ConfigError, ShapeError
from convivo.geometry import Axes, Sides

Spans = list[tuple[int, int]]


@dataclass(frozen=True)
class Windows:
    """Windows that slide over a grid, one entry per spatial axis.

    Window i of an axis has its taps at i * stride - before + j * dilation, j = 0 .. kernel - 1.

    kernel: taps. stride: step between windows. padding: samples (before, after) added around the
    grid. dilation: distance between taps. ceil_mode: a last window may hang over the end, as long
    as it does not start behind the last sample.
    """

    kernel: Axes
    stride: Axes
    padding: Sides
    dilation: Axes
    ceil_mode: bool = False

    @property
    def reach(self) -> Axes:
        """Samples from the first to the last tap, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def overlapping(self) -> bool:
        """Whether two windows may share a sample."""
        return any(s < r for s, r in zip(self.stride, self.reach, strict=True))

    def check(self, where: str) -> "Windows":
        """Itself, if there are such windows.

        Raises:
            ConfigError: a size below one, or padding in which a whole window would fit.
        """
        for name in ("kernel", "stride", "dilation"):
            if min(getattr(self, name)) < 1:
                rule = f"{name} must be at least 1 on every axis"
                raise ConfigError(where, rule, getattr(self, name), "Give positive integers")
        if any(max(p) >= r for p, r in zip(self.padding, self.reach, strict=True)):
            rule = f"padding must be shorter than the window {self.reach}"
            raise ConfigError(where, rule, f"padding {self.padding}", "Use less padding")
        return self

    def count(self, size: Axes) -> Axes:
        """How many windows there are on a grid of `size`.

        Example:
            >>> Windows((2,), (2,), ((0, 0),), (1,), ceil_mode=True).count((7,))
            (4,)
        """
        return tuple(self._count(n, axis) for axis, n in enumerate(size))

    def _count(self, size: int, axis: int) -> int:
        (before, after), stride = self.padding[axis], self.stride[axis]
        room = size + before + after - self.reach[axis]
        if not self.ceil_mode:
            return room // stride + 1
        number = -(-room // stride) + 1
        return number - ((number - 1) * stride >= size + before)

    def _fits(self, size: int, axis: int) -> bool:
        """At least one window, and none that sees padding only."""
        before, step, gap = self.padding[axis][0], self.stride[axis], self.dilation[axis]
        number = self._count(size, axis)
        hanging = range(min(number, -(-before // step)))  # those that start in the padding
        taps = range(0, gap * self.kernel[axis], gap)
        return number > 0 and all(
            any(0 <= i * step - before + tap < size for tap in taps) for i in hanging
        )

    def amounts(self, size: Axes) -> Sides:
        """Samples to add on each side so that all windows lie inside and the last one ends there.

        Negative behind a grid whose last samples belong to no window.
        """
        rows = zip(size, self.count(size), self.stride, self.reach, self.padding, strict=True)
        return tuple((b, (t - 1) * s + r - n - b) for n, t, s, r, (b, _) in rows)

    def scales(self, size: Axes, count_padding: bool) -> list[list[float]]:
        """Per axis and window, taps / (samples that an average counts).

        What hangs over the end beyond the padding is never counted.
        """
        result = []
        for n, t, axis in zip(size, self.count(size), range(len(size)), strict=True):
            before, after = self.padding[axis] if count_padding else (0, 0)
            starts = [i * self.stride[axis] - self.padding[axis][0] for i in range(t)]
            k = self.kernel[axis]
            counts = [min(a + k, n + after) - max(a, -before) for a in starts]
            result.append([k / c for c in counts])
        return result


def check_windows(windows: Windows, size: Axes, where: str) -> None:
    """Refuse a grid too small for its windows.

    Raises:
        ShapeError: an axis is shorter than its window, or a window would see padding only.
    """
    fits = windows._fits
    if all(fits(n, axis) for axis, n in enumerate(size)):
        return
    need = []
    for axis, n in enumerate(size):
        tries = range(max(n, 1), max(n, 1) + 2 * windows.reach[axis])
        need.append(next((m for m in tries if fits(m, axis)), n))
    rule = f"no axis may be shorter than the window {windows.reach}, nor a window see padding only"
    raise ShapeError(where, rule, f"size {size}", f"Pad to {tuple(need)} or more")


def adaptive_spans(size: int, count: int) -> Spans:
    """Where `count` windows that cover an axis begin and end: floor(i S / T), ceil((i + 1) S / T).

    Example:
        >>> adaptive_spans(7, 3)
        [(0, 3), (2, 5), (4, 7)]
    """
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
