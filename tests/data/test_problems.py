"""Severity of problems is fixed by their code; many damaged files make an error."""

import pytest

from convivo.data.problems import CODES, LEFT_OUT, left_out, of_many, problem

ERRORS = (
    "single-class shape-mismatch label-out-of-range non-finite duplicate-across-splits "
    "subject-across-splits missing-slices"
)
WARNINGS = (
    "missing-label missing-image unreadable truncated duplicate duplicate-across-subjects "
    "mixed-spacing mixed-orientation mixed-channels constant-image class-missing class-imbalance "
    "subjects-unknown single-subject"
)


@pytest.mark.parametrize("code", ERRORS.split())
def test_code_is_an_error(code: str) -> None:
    assert problem(code, "a.png", "m", "r").severity == "error"


@pytest.mark.parametrize("code", WARNINGS.split())
def test_code_is_a_warning(code: str) -> None:
    assert problem(code, "a.png", "m", "r").severity == "warning"


def test_unknown_code_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError, match="no-such-code"):
        problem("no-such-code", "a.png", "m", "r")


@pytest.mark.parametrize(("cases", "severity"), [(20, "warning"), (19, "error")])
def test_damaged_files_are_errors_past_a_tenth(cases: int, severity: str) -> None:
    two = [problem("unreadable", "a", "m", "r"), problem("truncated", "b", "m", "r")]
    other = problem("duplicate", "c", "m", "r")
    graded = of_many([*two, other], cases)
    assert [p.severity for p in graded] == [severity, severity, "warning"]


def test_only_problems_of_a_case_that_cannot_be_used_leave_it_out() -> None:
    found = [problem(code, code, "m", "r") for code in CODES]
    assert left_out(found) == LEFT_OUT
    assert {"unreadable", "truncated", "non-finite"} <= LEFT_OUT
    assert not {"duplicate", "constant-image", "mixed-spacing"} & LEFT_OUT
