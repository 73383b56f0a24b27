"""Threads that prepare the next items while the current ones are in use: reading while a model computes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


def prefetch(
    make: Callable[[K], T], items: Iterable[K], num_ahead: int, num_threads: int = 1
) -> Generator[T, None, None]:
    """`make(item)` for each item, in order, made by threads.

    While one result is in use, at most `num_ahead` further ones are made and wait, so memory stays flat. An error of
    `make` is raised in place of its result. The threads end with the generator, and have no OpenMP helpers.
    """
    import torch  # loading the definitions must not import it

    # The first call fixes the OpenMP thread count of this thread. Without it, the count that the others set for
    # themselves would become the default, and the model would run on one core.
    torch.get_num_threads()
    # If they had OpenMP helpers too, there would be more threads than cores. libgomp then puts the model's helpers to
    # sleep after every operation: on two cores a training step took 1.4 times as long.
    threads = ThreadPoolExecutor(
        num_threads, thread_name_prefix="ahead", initializer=torch.set_num_threads, initargs=(1,)
    )
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(threads.submit(make, item))
            if len(waiting) > num_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)
