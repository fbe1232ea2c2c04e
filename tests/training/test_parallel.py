import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minikd.training.parallel import cores, workers


def blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(threads):
    release = threading.Event()

    def slowest_first(item):
        if item == 0 and threads > 1:
            assert release.wait(10)
        release.set()
        return item * item

    with workers(threads) as map_:
        assert list(map_(slowest_first, range(5))) == [0, 1, 4, 9, 16]


def test_one_thread_is_the_callers_own():
    with workers(1) as map_:
        assert list(map_(lambda _: threading.current_thread(), [0])) == [threading.current_thread()]


def test_several_threads_work_at_once():
    meeting = threading.Barrier(3, timeout=10)
    with workers(3) as map_:
        assert len(list(map_(lambda _: meeting.wait(), range(3)))) == 3


def test_an_error_on_a_thread_reaches_the_caller():
    with workers(2) as map_, pytest.raises(ZeroDivisionError):
        list(map_(lambda item: 1 // item, [1, 0]))


def test_blas_is_held_to_one_thread_until_the_end():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with workers(2) as map_:
            assert blas_threads() == {1}
            assert list(map_(lambda _: blas_threads(), range(2))) == [{1}, {1}]
        assert blas_threads() == before


def test_there_is_at_least_one_core():
    assert cores() >= 1
