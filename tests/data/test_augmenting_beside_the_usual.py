"""Windows beside what differs from the usual one: altered as recordings would be."""

import numpy as np
import torch

from convivo.data.augment import Augmentation, draw
from convivo.data.augment.beside import apply_beside

MOVED = {
    "scale": 0.2,
    "shift": 0.1,
    "time_warp": 0.02,
    "p_spatial": 1.0,
    "gain": 0.5,
    "p_gain": 1.0,
}
ADDED = {"noise": 0.3, "p_noise": 1.0, "baseline_wander": 0.5, "p_baseline_wander": 1.0,
         "muscle": 0.5, "p_muscle": 1.0}  # fmt: skip
OFF = {"p_lead_drop": 0.0, "p_polarity": 0.0}


def altered(windows: torch.Tensor, usual: torch.Tensor, **how: float) -> torch.Tensor:
    """Two leads, their differences, and two channels of numbers behind them."""
    numbers = torch.arange(len(windows) * 2.0).reshape(-1, 2, 1).expand(-1, 2, windows.shape[2])
    images = torch.cat([windows, windows - usual, numbers], dim=1)
    drawn = draw(Augmentation(**OFF | how), len(images), (144,), 2, np.random.default_rng(3))
    apply_beside(images, drawn)
    assert torch.equal(images[:, 4:], numbers)
    return images


def beats(count: int = 6) -> torch.Tensor:
    return torch.randn(count, 2, 144, generator=torch.Generator().manual_seed(1))


def test_a_usual_window_stays_usual_wherever_it_is_moved() -> None:
    usual = beats()
    images = altered(usual.clone(), usual, **MOVED)
    assert (images[:, :2] - usual).abs().max() > 0.1
    assert images[:, 2:4].abs().max() < 1e-5


def test_what_is_added_differs_from_the_usual() -> None:
    windows, usual = beats(), beats().roll(1, 0)
    images = altered(windows.clone(), usual, **ADDED)
    change = images[:, :2] - windows
    assert change.abs().mean() > 0.05
    torch.testing.assert_close(images[:, 2:4] - (windows - usual), change, atol=1e-5, rtol=0)


def test_a_turned_lead_turns_its_usual_window_too() -> None:
    windows, usual = beats(), beats().roll(1, 0)
    images = altered(windows.clone(), usual, p_polarity=1.0)
    torch.testing.assert_close(images[:, :4], -torch.cat([windows, windows - usual], 1))
