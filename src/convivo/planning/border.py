"""Where a rising cost crosses a limit, for few questions about the cost."""

from collections.abc import Callable


def border(
    cost: Callable[[int], int],
    limit: int,
    low: int,
    high: int,
    *,
    scale: Callable[[int], int] = lambda n: n,
) -> int:
    """The largest n of low .. high whose cost is at most the limit; that of `low` is.

    Where the cost is nearly straight over `scale(n)`, about four costs are asked, of any rising one
    never more than a few for each halving. The cost of the answer has always been asked.

    Example:
        >>> asked = []
        >>> border(lambda n: asked.append(n) or 100 + 7 * n, 1000, 1, 65536), len(asked)
        (128, 4)
    """
    below, above = cost(low), cost(high)
    if above <= limit:
        return high
    straight, proving = 0, False
    while high - low > 1:
        if proving:  # the line was right if the next one is too much
            guess = low + 1
        elif straight > 2:
            guess, straight = (low + high) // 2, 0
        else:
            share = (limit - below) / (above - below)
            guess = _at(scale(low) + share * (scale(high) - scale(low)), scale, low, high)
            straight += 1
        here = cost(guess)
        proving = here <= limit and not proving
        if here <= limit:
            low, below = guess, here
        else:
            high, above = guess, here
    return low


def _at(wanted: float, scale: Callable[[int], int], low: int, high: int) -> int:
    """The largest n with scale(n) <= wanted, between the two and neither of them."""
    left, right = low + 1, high - 1
    while left < right:
        middle = (left + right + 1) // 2
        left, right = (middle, right) if scale(middle) <= wanted else (left, middle - 1)
    return left
