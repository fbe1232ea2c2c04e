"""Schedules: values by hand, PyTorch as reference, and what is refused."""

import math

import pytest

from minikd import schedules
from minikd.errors import ConfigError
from minikd.schedules import constant, cosine, one_cycle, step_decay, warm_up

TOTAL = 60


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[torch]'")


def rates_of(torch, make, lr=0.3, steps=TOTAL):
    """The learning rates of a PyTorch scheduler, made by `make(optimizer, torch.optim.lr_scheduler)`."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make(optimizer, torch.optim.lr_scheduler)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


PAIRS = {
    "constant": (constant(0.3), lambda o, s: s.ConstantLR(o, factor=1.0)),
    "step": (step_decay(0.3, 7, 0.5), lambda o, s: s.StepLR(o, 7, 0.5)),
    "cosine": (cosine(0.3, TOTAL), lambda o, s: s.CosineAnnealingLR(o, TOTAL)),
    "cosine to 0.02": (cosine(0.3, TOTAL, 0.02), lambda o, s: s.CosineAnnealingLR(o, TOTAL, eta_min=0.02)),
    "one cycle": (one_cycle(0.3, TOTAL + 1), lambda o, s: s.OneCycleLR(o, 0.3, TOTAL + 1, cycle_momentum=False)),
    "one cycle, other values": (
        one_cycle(0.3, TOTAL + 1, rise=0.11, div_factor=7, final_div_factor=20),
        lambda o, s: s.OneCycleLR(
            o, 0.3, TOTAL + 1, pct_start=0.11, div_factor=7, final_div_factor=20, cycle_momentum=False
        ),
    ),
    "warm-up": (warm_up(constant(0.3), 9), lambda o, s: s.LinearLR(o, start_factor=1 / 10, total_iters=9)),
    "warm-up of a step decay": (
        warm_up(step_decay(0.3, 20), 9),
        lambda o, s: s.ChainedScheduler([s.StepLR(o, 20), s.LinearLR(o, start_factor=1 / 10, total_iters=9)]),
    ),
    "warm-up of a cosine": (
        warm_up(cosine(0.3, TOTAL), 9),
        lambda o, s: s.ChainedScheduler(
            [s.CosineAnnealingLR(o, TOTAL), s.LinearLR(o, start_factor=1 / 10, total_iters=9)]
        ),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_sixty_steps_equal_pytorch(torch, name):
    ours, theirs = PAIRS[name]
    assert [ours(step) for step in range(TOTAL)] == pytest.approx(rates_of(torch, theirs), rel=1e-10)


def test_constant_by_hand():
    assert {constant(0.3)(step) for step in range(100)} == {0.3}


def test_step_decay_by_hand():
    rates = [step_decay(1.0, every=2, factor=0.5)(step) for step in range(6)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_cosine_by_hand():
    schedule = cosine(1.0, 4, final=0.2)
    expected = [1.0, 0.6 + 0.4 * math.sqrt(0.5), 0.6, 0.6 - 0.4 * math.sqrt(0.5), 0.2, 0.2, 0.2]
    assert [schedule(step) for step in range(7)] == pytest.approx(expected)


def test_one_cycle_by_hand():
    schedule = one_cycle(1.0, 20, rise=0.3, div_factor=25, final_div_factor=1e4)
    assert schedule(0) == pytest.approx(0.04)
    assert schedule(5) == 1.0  # the last of the first 30 % of 20 steps
    assert schedule(12) == pytest.approx((1 + 4e-6) / 2)  # halfway between steps 5 and 19
    assert schedule(19) == schedule(50) == pytest.approx(4e-6)
    rates = [schedule(step) for step in range(20)]
    assert rates.index(max(rates)) == 5
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("rise", [0.1, 0.25, 0.5, 0.99])
def test_one_cycle_is_finite_for_the_shortest_runs(total, rise):
    rates = [one_cycle(1.0, total, rise)(step) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)


def test_warm_up_by_hand():
    schedule = warm_up(constant(1.0), 4)
    assert [schedule(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert warm_up(constant(1.0), 0)(0) == 1.0


def test_build_makes_what_the_recipe_names():
    pairs = {
        "constant": constant(0.3),
        "step": step_decay(0.3, 34),
        "cosine": cosine(0.3, 100),
        "one_cycle": one_cycle(0.3, 100),
    }
    assert tuple(pairs) == schedules.NAMES
    for name, expected in pairs.items():
        built = schedules.build(name, 0.3, total_steps=100)
        assert [built(step) for step in range(120)] == [expected(step) for step in range(120)]
        warm = schedules.build(name, 0.3, total_steps=100, warm_up_steps=3)
        assert [warm(step) for step in range(120)] == [warm_up(expected, 3)(step) for step in range(120)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constant(-1.0), r"constant: the learning rate is -1\.0"),
        (lambda: cosine(math.nan, 5), "learning rate is nan"),
        (lambda: cosine(0.1, 0), "cosine: total is 0, but must be a whole number of at least 1"),
        (lambda: cosine(0.1, 5, final=0.2), r"final is 0\.2, but must lie between 0 and the learning rate 0\.1"),
        (lambda: step_decay(0.1, 0), "every is 0"),
        (lambda: step_decay(0.1, 5, factor=2.0), r"factor is 2\.0"),
        (lambda: one_cycle(0.1, 5, rise=1.0), r"rise is 1\.0"),
        (lambda: one_cycle(0.1, 5, div_factor=0.5), r"div_factor is 0\.5"),
        (lambda: one_cycle(0.1, 5, final_div_factor=math.inf), "final_div_factor is inf"),
        (lambda: warm_up(constant(0.1), -1), "steps is -1"),
        (lambda: schedules.build("linear", 0.1, 5), "schedule is 'linear', but must be one of constant, step, cosine"),
        (lambda: schedules.build("cosine", 0.1, 0), "total_steps is 0"),
        (lambda: schedules.build("cosine", 0.1, 5, 6), "warm_up_steps is 6, but must lie between 0 and the run's 5"),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
