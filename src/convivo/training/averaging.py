"""The running mean of the weights, which is validated and kept in the place of the last ones."""

import torch

from convivo.training.schedule import Schedule
from convivo.training.state import State
from convivo.training.update import Step, Update

WARM = 10  # steps in which the running mean forgets its start faster


def averaged(update: Update, ema: float) -> Update:
    """The same update, after which the mean moves on; a step that was skipped moves nothing.

    Args:
        ema: share of the old mean in each update of `state.average`, below 1.
    """

    def with_mean(
        state: State,
        step: Step,
        images: torch.Tensor,
        targets: torch.Tensor,
        schedule: Schedule,
    ) -> float:
        skipped = state.counters.skipped
        loss = update(state, step, images, targets, schedule)
        if state.counters.skipped == skipped:
            follow(state, ema)
        return loss

    return with_mean


def follow(state: State, ema: float) -> None:
    """Move the running mean of the weights on by one step.

    Buffers follow like weights: running statistics of batch normalization are means over recent
    steps already, and their mean is of steps as old as the weights of the mean network are. To
    estimate them anew, as for the mean of weights that lie far apart (Izmailov et al. 2018,
    arXiv:1803.05407), would take a pass over the training data before each validation, and make
    what is validated depend on what was drawn for it. Whole numbers are copied.

    Source: Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4); of networks: Tarvainen & Valpola
    2017, arXiv:1703.01780.
    """
    if state.average is None:
        return
    share = 1 - min(ema, (1 + state.step) / (WARM + state.step))
    with torch.no_grad():
        for mean, now in zip(
            state.average.state_dict().values(), state.network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(now, share)
            else:
                mean.copy_(now)
