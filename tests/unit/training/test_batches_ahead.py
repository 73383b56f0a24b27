import threading

import pytest
import torch
from torch.utils.data import DataLoader

from bolid_pipeline.training.batches_ahead import BatchesAhead


def square(step):
    return step * step


def test_batches_come_in_order_and_end():
    assert list(BatchesAhead(square, 9)) == [step * step for step in range(9)]
    assert len(BatchesAhead(square, 9)) == 9
    assert list(BatchesAhead(square, 0)) == []


def test_a_saved_position_is_that_of_the_batch_that_comes_next():
    batches = BatchesAhead(square, 9)
    taken = iter(batches)
    assert [next(taken) for _ in range(3)] == [0, 1, 4]
    restored = BatchesAhead(square, 9)
    restored.load_state_dict(batches.state_dict())
    assert list(restored) == list(taken) == [9, 16, 25, 36, 49, 64]


def test_a_few_batches_wait_and_no_more():
    made: list[int] = []
    has_made_five = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if len(made) == 5:
            has_made_five.set()
        return step

    taken = iter(BatchesAhead(make, 1000))
    next(taken)
    assert has_made_five.wait(60)
    taken.close()  # lets the thread end its last batch
    assert made == [0, 1, 2, 3, 4]


def test_batches_are_made_beside_the_thread_that_takes_them():
    makers = set(BatchesAhead(lambda _: threading.current_thread().name, 20))
    assert len(makers) == 1
    assert makers != {threading.current_thread().name}


def test_no_thread_is_left_over():
    before = threading.active_count()
    taken = iter(BatchesAhead(square, 100))
    next(taken)
    taken.close()
    assert threading.active_count() == before


def test_an_error_is_raised_where_the_batch_is_taken():
    def make(step: int) -> int:
        if step == 3:
            raise OSError("the disk is gone")
        return step

    taken = iter(BatchesAhead(make, 9))
    assert [next(taken) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(taken)


def test_a_data_loader_takes_it_as_it_is():
    assert list(DataLoader(BatchesAhead(square, 5), batch_size=None)) == [0, 1, 4, 9, 16]


def test_the_model_keeps_its_threads_and_the_thread_that_makes_batches_has_no_helpers():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        made_by = list(BatchesAhead(lambda _: torch.get_num_threads(), 3))
        assert made_by == [1, 1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
