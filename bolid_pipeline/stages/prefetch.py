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
    `make` is raised in place of its result. The threads end with the generator.
    """
    threads = ThreadPoolExecutor(num_threads, thread_name_prefix="ahead")
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
