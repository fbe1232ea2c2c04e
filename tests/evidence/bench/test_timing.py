"""The clock: who runs when, how often, and what becomes of the numbers."""

import numpy as np
import pytest

from minikd.evidence.bench import timing
from minikd.evidence.bench.timing import Times, race, steps_in

pytestmark = pytest.mark.numpy_only("the benchmark times NumPy")


class Clock:
    """A clock that moves only when a side works or somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)


class Sleeper:
    """A side that takes so many seconds a step."""

    def __init__(self, name, clock, cost, log):
        self.name, self.clock, self.cost, self.log = name, clock, cost, log

    def run(self, numbers):
        self.log.append((self.name, numbers))
        self.clock.now += self.cost * len(numbers)

    def proof(self):
        return {}


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


def test_the_median_and_the_quartiles_are_those_of_the_bursts():
    times = Times((5.0, 1.0, 100.0, 3.0, 4.0))
    assert times.median == 4.0
    assert times.quartiles == (3.0, 5.0)
    assert Times((2.0,)).quartiles == (2.0, 2.0)


def test_a_race_measures_each_sides_own_time(clock):
    sides = [Sleeper("quick", clock, 0.001, []), Sleeper("slow", clock, 0.03, [])]
    found = race(sides, 5, 0.1, np.random.default_rng(0))
    assert found["quick"].bursts == pytest.approx([1.0] * 5)
    assert found["slow"].bursts == pytest.approx([30.0] * 5)


def test_sides_take_turns_in_an_order_that_changes(clock):
    log = []
    sides = [Sleeper(name, clock, 0.01, log) for name in "abc"]
    race(sides, 8, 0.1, np.random.default_rng(0))
    turns = [name for name, numbers in log if len(numbers) == 10]
    turns = turns[-24:]  # before that, steps are counted
    rounds = ["".join(turns[i : i + 3]) for i in range(0, 24, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1


def test_every_burst_begins_with_a_rest_and_a_warm_up_that_does_not_count(clock):
    log = []
    race([Sleeper("a", clock, 0.01, log)], 3, 0.12, np.random.default_rng(0))
    bursts = log[-6:]
    assert [len(numbers) for _, numbers in bursts] == [3, 12, 3, 12, 3, 12]
    assert clock.slept == [timing.SETTLE] * 3


def test_rounds_go_through_the_batches(clock):
    log = []
    race([Sleeper("a", clock, 0.01, log)], 3, 0.05, np.random.default_rng(0))
    assert [numbers for _, numbers in log[-6:]][1::2] == [range(0, 5), range(5, 10), range(10, 15)]


@pytest.mark.parametrize(("cost", "steps"), [(0.001, 100), (0.03, 3), (0.5, 1)])
def test_a_burst_is_a_time_and_not_a_number_of_steps(cost, steps, clock):
    assert steps_in(Sleeper("a", clock, cost, []), 0.1) == steps
