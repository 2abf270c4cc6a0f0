import numpy as np
import pytest

from convivo.metrics.two_samples import two_sample_auroc


def drawn(seed, count=400, features=5):
    return np.random.default_rng(seed).normal(size=(count, features))


def test_items_of_one_distribution_are_not_told_apart() -> None:
    found = two_sample_auroc(drawn(1), drawn(2), range(400))
    assert found["low"] < 0.5 < found["high"]


def test_a_shift_is_found_as_clearly_as_it_is_large() -> None:
    mixed = drawn(3) @ drawn(4, 5)  # correlated features of unlike scales
    step = np.linalg.cholesky(np.cov(mixed.T))[:, 0]
    areas = [
        two_sample_auroc(mixed[:200] + size * step, mixed[200:], range(200))["value"]
        for size in (0.5, 1, 3)
    ]
    assert areas == sorted(areas)
    # two normal distributions whose means are d deviations apart: the normal integral of d / sqrt 2
    assert areas == pytest.approx([0.638, 0.760, 0.983], abs=0.08)


def test_what_is_learnt_is_not_asked() -> None:
    """More features than items: what was learnt from would be told apart without a mistake."""
    found = two_sample_auroc(drawn(5, 40, 300), drawn(6, 40, 300), range(40))
    assert 0.15 < found["value"] < 0.85


def test_no_unit_is_on_both_sides() -> None:
    """A unit's items are all alike: known ones among those asked about would be found again."""
    units = np.repeat(np.arange(20), 20)
    real = drawn(7, 20, 30)[units] + 1e-3 * drawn(8, 400, 30)
    made = drawn(9, 20, 30)[np.repeat(np.arange(20), 20)]
    found = two_sample_auroc(made, real, units)
    assert found["method"] == "bootstrap"
    assert found["low"] < found["value"] < 0.95


@pytest.mark.parametrize(("made", "real", "units"), [(3, 40, 40), (40, 3, 3), (40, 40, 3)])
def test_too_few_items_or_units_have_no_value(made, real, units) -> None:
    found = two_sample_auroc(drawn(1, made), drawn(2, real), np.arange(real) % units)
    assert found == {"value": None, "low": None, "high": None}


def test_equal_seeds_give_equal_values() -> None:
    one, other = (two_sample_auroc(drawn(1), drawn(2), range(400), seed=s) for s in (1, 1))
    assert one == other
    assert one != two_sample_auroc(drawn(1), drawn(2), range(400), seed=2)
