"""The search for what fits a budget, on costs that are known in closed form."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convivo.errors import PlanError
from convivo.planning.border import border
from convivo.planning.budget import MOST, Setting, Solution, Space, solve
from convivo.planning.step_cost import smaller_patches

WEIGHTS, SAMPLE, MIB = 50_000_000, 400, 2**20
PATCH = (64, 96)


def affine(setting: Setting) -> int:
    """Weights and what every sample keeps; bf16 halves the latter, checkpointing leaves a third."""
    kept = SAMPLE * prod(setting.patch) * setting.batch
    kept = kept // 2 if setting.precision == "bf16" else kept
    return WEIGHTS + (kept // 3 if setting.checkpointing else kept)


def bytes_of(batch: int, **more: Any) -> int:
    return affine(Setting(batch=batch, patch=PATCH, **more))


def counted(cost: Callable[[Setting], int]) -> tuple[Callable[[Setting], int], list[Setting]]:
    asked: list[Setting] = []

    def ask(setting: Setting) -> int:
        asked.append(setting)
        return cost(setting)

    return ask, asked


@pytest.mark.parametrize("batch", [1, 2, 3, 37, 1000, 65_000])
@pytest.mark.parametrize("spare", [0, 1, SAMPLE * 64 * 96 - 1])
def test_the_largest_batch_is_exact_and_few_are_asked(batch: int, spare: int) -> None:
    ask, asked = counted(affine)
    found = solve(ask, bytes_of(batch) + spare, Space(patches=[PATCH]))
    assert found.setting == Setting(batch=batch, patch=PATCH)
    assert found.bytes == bytes_of(batch)
    assert found.price == ()
    assert len(asked) == len(set(asked)) <= 5


def test_no_batch_is_larger_than_is_of_use() -> None:
    assert solve(affine, 10**15, Space(patches=[PATCH])).setting.batch == MOST
    for limit in (bytes_of(40), 10**15):
        assert solve(affine, limit, Space(patches=[PATCH], most=40)).setting.batch == 40


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(1, 10**7)), min_size=1, max_size=4
    ),
    steps=st.integers(0, 10**6),
    share=st.floats(0, 1),
)
def test_the_border_of_any_rising_cost_is_exact(
    pieces: list[tuple[int, int]], steps: int, share: float
) -> None:
    asked: dict[int, int] = {}

    def cost(n: int) -> int:
        asked[n] = max(a + b * n for a, b in pieces) + steps * (n // 7)
        return asked[n]

    limit = int(cost(1) + share * (cost(5000) - cost(1)))
    found = border(cost, limit, 1, 5000)
    assert asked[found] <= limit
    assert found == 5000 or cost(found + 1) > limit
    assert len(asked) < 60


def test_a_wished_batch_that_fits_stays_whole() -> None:
    found = solve(affine, bytes_of(32), Space(patches=[PATCH], batch=32))
    assert (found.setting.batch, found.setting.accumulate) == (32, 1)
    assert [step.fits for step in found.steps] == [True]


def test_a_wished_batch_is_shared_out_evenly() -> None:
    space = Space(patches=[PATCH], batch=32, precisions=("fp32", "bf16"))
    found = solve(affine, bytes_of(9), space)
    assert (found.setting.batch, found.setting.accumulate) == (8, 4)
    assert found.setting.precision == "fp32"
    assert found.bytes == bytes_of(8)
    assert "4 passes of 8 an update" in found.price[0]


def only_by(limit: int) -> Solution:
    space = Space(patches=[PATCH], precisions=("fp32", "bf16"), checkpointing=(False, True))
    return solve(affine, limit, space)


def test_other_formats_come_before_checkpointing() -> None:
    rounded = only_by(bytes_of(1, precision="bf16"))
    assert (rounded.setting.precision, rounded.setting.checkpointing) == ("bf16", False)
    assert rounded.price[0].startswith("bf16: ")
    again = only_by(bytes_of(1, checkpointing=True))
    assert (again.setting.precision, again.setting.checkpointing) == ("fp32", True)
    assert again.price == ("checkpointing: the same result, for a third more time",)
    both = only_by(bytes_of(1, checkpointing=True, precision="bf16"))
    assert (both.setting.precision, both.setting.checkpointing) == ("bf16", True)
    assert len(both.price) == 2


def with_allocator(setting: Setting) -> int:
    """What is kept for the next step, returned at once, counts a quarter more."""
    kept = affine(setting)
    return kept + (kept - WEIGHTS) // 4 if setting.allocator == "keep" else kept


def test_memory_is_given_back_only_after_all_else_but_the_patch() -> None:
    space = Space(
        patches=[PATCH, (16, 16)],
        precisions=("fp32", "bf16"),
        checkpointing=(False, True),
        allocators=("keep", "return"),
        batch=8,
    )
    one = {"precision": "bf16", "checkpointing": True, "batch": 1}
    kept = with_allocator(Setting(patch=PATCH, **one))
    found = solve(with_allocator, kept, space).setting
    assert (found.checkpointing, found.precision, found.allocator) == (True, "bf16", "keep")
    returned = with_allocator(Setting(patch=PATCH, allocator="return", **one))
    assert returned < kept
    found = solve(with_allocator, returned, space)
    assert (found.setting.patch, found.setting.allocator) == (PATCH, "return")
    assert found.price[-1].startswith("memory given back after each use: the same result")
    assert "memory given back" in found.setting.words
    assert solve(with_allocator, returned - 1, space).setting.patch == (16, 16)


@pytest.mark.parametrize(("items", "steady"), [(8, 8), (5, 1), (2, 2)])
def test_fewer_items_than_are_steady_come_last(items: int, steady: int) -> None:
    space = Space(patches=[PATCH], checkpointing=(False, True), batch=16, steady=steady)
    found = solve(affine, bytes_of(items), space).setting
    assert (found.batch >= steady, found.checkpointing) == (True, False)
    short = solve(affine, bytes_of(steady) - 1, space).setting
    assert short.checkpointing is True  # rather than fewer items
    assert short.batch >= steady
    scarce = solve(affine, bytes_of(1, checkpointing=True), space).setting
    assert (scarce.batch, scarce.accumulate, scarce.checkpointing) == (1, 16, True)


def test_a_cost_is_told_in_how_many_passes_the_update_goes() -> None:
    asked: dict[int, int] = {}

    def cost(setting: Setting) -> int:
        asked[setting.batch] = setting.accumulate
        return affine(setting) + (10**6 if setting.accumulate > 1 else 0)

    found = solve(cost, bytes_of(5) + 10**6, Space(patches=[PATCH], batch=12))
    assert (found.setting.batch, found.setting.accumulate) == (4, 3)
    assert found.bytes == bytes_of(4) + 10**6
    assert all(passes == -(-12 // batch) for batch, passes in asked.items())


def test_the_largest_patch_that_fits_is_found() -> None:
    patches = smaller_patches((512, 480), (8, 8), (1, 1))
    limit = affine(Setting(batch=1, patch=patches[40]))
    ask, asked = counted(affine)
    found = solve(ask, limit, Space(patches=patches))
    assert (found.setting.patch, found.setting.batch) == (patches[40], 1)
    assert f"{prod(patches[40]) / prod(patches[0]):.0%} of the wished samples" in found.price[0]
    assert len(asked) < 9


def test_a_smaller_patch_keeps_to_the_mildest_way_that_fits() -> None:
    patches = [(64, 96), (64, 48), (16, 16)]
    space = Space(patches=patches, precisions=("fp32", "bf16"))
    small = solve(affine, affine(Setting(batch=1, patch=(64, 24), precision="bf16")), space)
    assert (small.setting.patch, small.setting.precision) == ((16, 16), "fp32")


def test_below_the_least_the_message_says_what_would_do() -> None:
    least = bytes_of(1)
    message = (
        r"plan: needs at least 51 MiB for batch 1; got 10 MiB\. "
        r"Give --ram 60M or a smaller input\."
    )
    assert -(-least // MIB) == 51
    with pytest.raises(PlanError, match=message) as refused:
        solve(affine, 10 * MIB, Space(patches=[PATCH]))
    assert refused.value.exit_status == 1
    assert solve(affine, 60 * MIB, Space(patches=[PATCH])).setting.batch >= 1


def test_the_least_names_what_would_have_to_give_way() -> None:
    space = Space(patches=[PATCH, (16, 16)], precisions=("fp32", "bf16"), least=2)
    with pytest.raises(PlanError, match=r"for batch 2 \(16 x 16, bf16\); .* Give --vram 50M"):
        solve(affine, MIB, space, option="--vram")


def test_what_was_looked_at_is_listed_with_its_bytes() -> None:
    found = solve(affine, bytes_of(5), Space(patches=[PATCH]))
    document = found.document()
    assert document["limit"] == bytes_of(5)
    assert {"batch", "patch", "accumulate", "checkpointing", "precision"} < set(document)
    for row in document["steps"]:
        assert row["bytes"] == bytes_of(row["batch"])
        assert row["fits"] == (row["batch"] <= 5)


@pytest.mark.parametrize(
    ("size", "multiple"), [((352,), (8,)), ((96, 64), (16, 4)), ((63, 81, 99), (1, 1, 1))]
)
def test_smaller_patches_shrink_and_stay_multiples(
    size: tuple[int, ...], multiple: tuple[int, ...]
) -> None:
    found = smaller_patches(size, multiple, (1,) * len(size))
    assert found[0] == size
    assert all(prod(b) < prod(a) for a, b in pairwise(found))
    cuts = [(a - b) % m for patch in found for a, b, m in zip(size, patch, multiple, strict=True)]
    assert set(cuts) == {0}
    assert min(found[-1]) >= 16
