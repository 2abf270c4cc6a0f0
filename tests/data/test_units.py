"""Which cases belong together: stated subjects, names of files, stacks of sections."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convivo.data.leaks import joined
from convivo.data.sample import Case, Index
from convivo.data.stacks import in_order, is_stack, numbered
from convivo.data.units import Units, cut, find_units, natural, sections
from convivo.errors import UsageError


def make_cases(ids: Sequence[str], targets: Sequence[int] | None = None) -> list[Case]:
    labels = targets or [0] * len(ids)
    return [Case(id=i, image=(i,), target=t) for i, t in zip(ids, labels, strict=True)]


def make_index(cases: Sequence[Case], source: str | None = None) -> Index:
    return Index(
        layout="class-folders",
        root=Path("data"),
        task="classify",
        spatial_dims=2,
        cases=tuple(cases),
        classes=("a", "b"),
        subject_source=source,
    )


def units_of(ids: Sequence[str], targets: Sequence[int] | None = None, **options: str) -> Units:
    cases = make_cases(ids, targets)
    return find_units(make_index(cases), cases, **options)


@pytest.mark.parametrize(
    ("names", "subjects"),
    [
        (["C100P61ThinF_1.png", "C100P61ThinF_2.png", "C10P61_1.png"], ["C100", "C100", "C10"]),
        (["C1_thinF_1.png", "C2NThinF_1.png", "C2NThinF_2.png"], ["C1", "C2", "C2"]),
        (["sub-01_T1.nii", "sub-01_T2.nii", "sub-02_T1.nii"], ["sub-01", "sub-01", "sub-02"]),
        (["patient_3-a.png", "patient_3-b.png", "patient_30-a.png"],
         ["patient_3", "patient_3", "patient_30"]),
        (["P03_cell_017.png", "P03_cell_018.png", "P04_cell_001.png"], ["P03", "P03", "P04"]),
    ],
)  # fmt: skip
def test_names_that_begin_with_a_subject_group_files(names: list[str], subjects: list[str]) -> None:
    found = units_of([f"a/{name}" for name in names], [0, 1, 0])
    assert found.unit == "subject"
    assert list(found.of.values()) == subjects


def test_the_source_shows_pattern_and_example() -> None:
    ids = ["x/C100P61ThinF_IMG_20150918_1.png", "x/C100P61ThinF_IMG_2.png", "x/C7_1.png"]
    found = units_of(ids, [0, 1, 1])
    assert found.source == "file name pattern C<number> (C100P61ThinF_IMG_201... -> C100)"


def test_folders_named_by_subject_group_files() -> None:
    found = units_of(["a/p1/x.png", "b/p1/y.png", "a/p2/x.png"], [0, 1, 0])
    assert list(found.of.values()) == ["p1", "p1", "p2"]
    assert found.source.startswith("folder name pattern P<number>")


@pytest.mark.parametrize(
    "names",
    [
        ["case_001.nii", "case_002.nii", "case_003.nii"],  # one file each
        ["hippocampus_001.nii.gz", "hippocampus_003.nii.gz"],
        ["P1_a.png", "P1_b.png", "other.png"],  # one name does not fit
        ["P1_a.png", "P1_b.png"],  # one group
        ["0001.png", "0002.png"],
    ],
)
def test_names_that_group_nothing_leave_each_case_its_own_unit(names: list[str]) -> None:
    found = units_of(names)
    assert (found.unit, found.source) == ("case", "none")
    assert found.of == {name: name for name in names}


def test_a_pattern_that_only_spells_the_class_is_no_subject() -> None:
    assert units_of(["c0_1.png", "c0_2.png", "c1_1.png", "c1_2.png"], [0, 0, 1, 1]).unit == "case"


def test_items_of_a_container_have_no_names() -> None:
    cases = [Case(id=f"P1_{i}.npz#{i}", image=("P.npz",), index=i) for i in range(4)]
    assert find_units(make_index(cases), cases).unit == "case"


def test_stated_subjects_come_before_names() -> None:
    cases = [
        Case(id="P1_a.png", image=("",), subject="Ann"),
        Case(id="P1_b.png", image=("",), subject="Bob"),
        Case(id="P2_c.png", image=("",)),
    ]
    found = find_units(make_index(cases, "manifest column subject"), cases)
    assert found.of == {"P1_a.png": "Ann", "P1_b.png": "Bob", "P2_c.png": "P2_c.png"}
    assert (found.source, found.unknown) == ("manifest column subject", ("P2_c.png",))


def test_an_expression_takes_its_first_group_or_its_match() -> None:
    ids = ["s/a7-x.png", "s/a7-y.png", "s/b8-x.png"]
    assert list(units_of(ids, subject=r"([ab]\d)-").of.values()) == ["a7", "a7", "b8"]
    assert list(units_of(ids, subject=r"[ab]\d").of.values()) == ["a7", "a7", "b8"]


def test_an_expression_that_misses_a_file_names_it() -> None:
    with pytest.raises(UsageError, match=r"--subject: .* fits every id; got 'b.png'"):
        units_of(["a1.png", "b.png"], subject=r"\d")


def test_a_broken_expression_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--subject: a regular expression; got \(a"):
        units_of(["a1.png"], subject="(a")


@given(st.lists(st.integers(), max_size=60), st.integers(1, 30))
def test_cut_pieces_are_contiguous_and_nearly_equal(items: list[int], pieces: int) -> None:
    found = cut(items, pieces)
    assert [x for piece in found for x in piece] == items
    assert len(found) == min(pieces, len(items))
    if found:
        lengths = [len(piece) for piece in found]
        assert max(lengths) - min(lengths) <= 1


def test_sections_follow_the_numbers_not_the_alphabet() -> None:
    found = sections([f"{i}.png" for i in (10, 9, 2, 1)], "stack")
    assert found.of == {
        "1.png": "section 1", "2.png": "section 2", "9.png": "section 3", "10.png": "section 4",
    }  # fmt: skip
    assert sections((f"{i}.png" for i in range(300)), "stack").count == 25


def test_equal_images_share_a_unit_through_chains_but_not_across_given_splits() -> None:
    cases = make_cases(["a", "b", "c", "d"])
    alone = Units(unit="case", of={c.id: c.id for c in cases}, source="none")
    chained = joined(alone, [[cases[0], cases[1]], [cases[1], cases[2]]])
    assert chained.of == {"a": "a", "b": "a", "c": "a", "d": "d"}
    train, test = Case(id="a", image=(), split="train"), Case(id="b", image=(), split="test")
    assert joined(alone, [[train, test]]).of["b"] == "b"


def smooth_stack(count: int, drift: float, seed: int = 1) -> np.ndarray:
    """(count, 16, 18) textures, each a mixture of the one before and something new."""
    rng = np.random.default_rng(seed)
    images = [rng.normal(size=(16, 18))]
    for _ in range(count - 1):
        images.append((1 - drift) * images[-1] + drift * rng.normal(size=(16, 18)))
    return np.stack(images)


def stack_of(images: np.ndarray, names: Sequence[str] | None = None) -> bool:
    ids = names or [f"img/{i}.png" for i in range(len(images))]
    return is_stack(make_cases(ids), dict(zip(ids, images, strict=True)))


def test_images_alike_their_neighbours_are_a_stack() -> None:
    assert stack_of(smooth_stack(20, drift=0.4))


def test_independent_or_shuffled_images_are_no_stack() -> None:
    assert not stack_of(smooth_stack(20, drift=1.0))
    order = np.random.default_rng(3).permutation(20)
    assert not stack_of(smooth_stack(20, drift=0.4)[order])


def test_images_that_are_all_alike_are_no_stack() -> None:
    rng = np.random.default_rng(4)
    assert not stack_of(smooth_stack(1, 0.5) + 0.1 * rng.normal(size=(20, 16, 18)))


def test_two_batches_are_no_stack() -> None:
    lag = np.arange(20) // 10
    rng = np.random.default_rng(5)
    noise = 0.02 * rng.normal(size=(20, 20))
    alike = np.where(lag[:, None] == lag[None, :], 0.8, 0.2) + noise + noise.T
    np.fill_diagonal(alike, 1.0)
    alike[np.arange(19), np.arange(1, 20)] -= 0.01
    assert not in_order(alike)


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        ([f"s/{i}.png" for i in range(9)], True),
        ([f"s/slice{i:03d}_a.png" for i in range(5, 20)], True),
        ([f"s/{i}.png" for i in range(7)], False),  # too few
        ([f"s/{3 * i}.png" for i in range(9)], False),  # gaps
        ([f"{'ab'[i % 2]}/{i}.png" for i in range(10)], False),  # two folders
        ([f"s/{'xy'[i % 2]}{i}.png" for i in range(10)], False),  # two names
        ([f"s/{c}.png" for c in "abcdefghij"], False),
    ],
)
def test_numbered_names_of_one_folder(names: list[str], answer: bool) -> None:
    assert numbered(make_cases(names)) is answer


def test_natural_order_counts() -> None:
    assert sorted(["b10", "b2", "B1", "a"], key=natural) == ["B1", "a", "b2", "b10"]
