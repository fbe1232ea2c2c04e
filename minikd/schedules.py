"""Learning-rate schedules as pure functions of the step.

A schedule maps the number of steps already taken (0 for the first step) to the learning rate of the next step. It has
no state, so a resumed run needs only the number of steps. After its last step, the learning rate stays the same.
"""

import math
from collections.abc import Callable

from minikd.checks import number, whole_number
from minikd.errors import ConfigError

Schedule = Callable[[int], float]
"""The number of steps already taken -> the learning rate of the next."""

NAMES = ("constant", "step", "cosine", "one_cycle")


def constant(lr: float) -> Schedule:
    """Return η(t) = η₀."""
    lr = _rate("constant", lr)
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Return η(t) = η₀ · factor^⌊t / every⌋, as torch.optim.lr_scheduler.StepLR."""
    lr, every = _rate("step_decay", lr), whole_number(every, "step_decay: every", 1)
    if not 0 < number(factor) <= 1:
        raise ConfigError(f"step_decay: factor is {factor!r}, but must be above 0 and at most 1")
    factor = number(factor)
    return lambda step: lr * factor ** (step // every)


def cosine(lr: float, total: int, final: float = 0.0) -> Schedule:
    """Return half a cosine from `lr` at step 0 to `final` at step `total`.

        η(t) = final + (η₀ − final) (1 + cos(π t / total)) / 2

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5, without restarts; as
    torch.optim.lr_scheduler.CosineAnnealingLR, which would rise again after `total`.
    """
    lr, total = _rate("cosine", lr), whole_number(total, "cosine: total", 1)
    end = number(final)
    if not 0 <= end <= lr:
        raise ConfigError(f"cosine: final is {final!r}, but must lie between 0 and the learning rate {lr!r}")
    return lambda step: _half_cosine(lr, end, step / total)


def one_cycle(
    lr: float, total: int, rise: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Schedule:
    """Return a rise to `lr` over the first 30 % of the steps and a fall to almost nothing over the rest.

    Both are half cosines: from lr / div_factor at step 0, to `lr` at step rise · total − 1, to
    lr / div_factor / final_div_factor at step total − 1.

    Smith & Topin 2018, "Super-convergence: very fast training of neural networks using large learning rates"; as
    torch.optim.lr_scheduler.OneCycleLR (`lr` is its max_lr, `rise` its pct_start) without the cycle of the momentum.
    """
    lr, total = _rate("one_cycle", lr), whole_number(total, "one_cycle: total", 1)
    if not 0 < number(rise) < 1:
        raise ConfigError(f"one_cycle: rise is {rise!r}, but must lie between 0 and 1, such as 0.3")
    for name, divisor in ("div_factor", div_factor), ("final_div_factor", final_div_factor):
        if not 1 <= number(divisor) < math.inf:
            raise ConfigError(f"one_cycle: {name} is {divisor!r}, but must be finite and at least 1")
    first, last = lr / div_factor, lr / div_factor / final_div_factor
    peak, end = rise * total - 1, total - 1  # the peak may be between two steps, or before the first of a short run

    def schedule(step: int) -> float:
        if step < peak:
            return _half_cosine(first, lr, step / peak)
        return _half_cosine(lr, last, (step - peak) / (end - peak))

    return schedule


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """Return `schedule` with its first `steps` steps scaled down, on a line that would start at 0 one step earlier.

        η'(t) = η(t) · (t + 1) / (steps + 1)    for t < steps, then η(t)

    So no step has a learning rate of 0, the first `steps` steps are smaller, and the schedule itself is not delayed.
    Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.2; as
    torch.optim.lr_scheduler.LinearLR(start_factor=1 / (steps + 1), total_iters=steps), chained.
    """
    steps = whole_number(steps, "warm_up: steps", 0)
    return lambda step: schedule(step) * min(1.0, (step + 1) / (steps + 1))


def in_turn(first: Schedule, second: Schedule, start: int) -> Schedule:
    """Return a schedule that is `first` until step `start`, where `second` begins at its own step 0."""
    start = whole_number(start, "in_turn: start", 0)
    return lambda step: first(step) if step < start else second(step - start)


def build(name: str, lr: float, total_steps: int, warm_up_steps: int = 0) -> Schedule:
    """Return the schedule that a recipe names, one of `NAMES`, for a run of `total_steps`.

    "step" divides the learning rate by 10 after each third of the run. Raises `ConfigError` for any other name, a
    negative learning rate, a run without steps, and a warm-up longer than the run.
    """
    whole_number(total_steps, "total_steps", 1)
    if not 0 <= whole_number(warm_up_steps, "warm_up_steps", 0) <= total_steps:
        raise ConfigError(
            f"warm_up_steps is {warm_up_steps!r}, but must lie between 0 and the run's {total_steps} steps"
        )
    if name == "constant":
        schedule = constant(lr)
    elif name == "step":
        schedule = step_decay(lr, every=math.ceil(total_steps / 3))
    elif name == "cosine":
        schedule = cosine(lr, total_steps)
    elif name == "one_cycle":
        schedule = one_cycle(lr, total_steps)
    else:
        raise ConfigError(f"schedule is {name!r}, but must be one of {', '.join(NAMES)}")
    return warm_up(schedule, warm_up_steps) if warm_up_steps else schedule


def _half_cosine(start: float, end: float, part: float) -> float:
    """Return the value at `part` (0 to 1) of the half cosine from `start` to `end`, and `end` after that."""
    return end if part >= 1 else end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _rate(where: str, lr: float) -> float:
    """Return the learning rate as a Python float, or refuse an invalid one."""
    if not 0 <= number(lr) < math.inf:
        raise ConfigError(f"{where}: the learning rate is {lr!r}, but must be finite and not below 0")
    return number(lr)
