"""When a request may be sent."""

import time

import pytest

from bolid_pipeline.scraping.rate_limiter import RateLimiter


def seconds_of(limiter: RateLimiter, num_turns: int) -> float:
    started = time.monotonic()
    for _ in range(num_turns):
        with limiter.turn():
            pass
    return time.monotonic() - started


def test_a_slowed_rate_recovers_after_good_answers():
    limiter = RateLimiter(requests_per_second=1000.0, max_concurrency=1)
    asked_at = time.monotonic()
    limiter.slow_down(asked_at)
    limiter.slow_down(asked_at)  # it was under way together with the first: no further reason
    assert limiter.requests_per_second == 500.0
    limiter.slow_down(time.monotonic())
    assert limiter.requests_per_second == 250.0
    for _ in range(49):
        limiter.speed_up()
    assert limiter.requests_per_second == 250.0
    limiter.speed_up()
    assert limiter.requests_per_second == 500.0
    for _ in range(200):
        limiter.speed_up()
    assert limiter.requests_per_second == 1000.0


def test_a_host_is_never_slowed_to_a_stop():
    limiter = RateLimiter(requests_per_second=1600.0, max_concurrency=1)
    for _ in range(20):
        limiter.slow_down(time.monotonic())
    assert limiter.requests_per_second == 100.0


@pytest.mark.parametrize(
    ("requests_per_second", "num_turns", "least_seconds"),
    [(10.0, 4, 0.3), (1 / 0.3, 2, 0.3), (30.0, 10, 0.3), (200.0, 71, 0.3)],
)
def test_no_turn_comes_before_its_time(requests_per_second, num_turns, least_seconds):
    assert seconds_of(RateLimiter(requests_per_second, 4), num_turns) >= least_seconds - 0.002


def test_quiet_is_kept_by_the_next_turn():
    limiter = RateLimiter(requests_per_second=1000.0, max_concurrency=2)
    limiter.keep_quiet(0.3)
    limiter.keep_quiet(0.1)
    assert seconds_of(limiter, 1) >= 0.3


def test_a_crawl_delay_lowers_the_rate_and_never_raises_it():
    limiter = RateLimiter(requests_per_second=100.0, max_concurrency=1)
    limiter.cap_rate(1000.0)
    assert limiter.requests_per_second == 100.0
    limiter.cap_rate(10.0)
    assert limiter.requests_per_second == 10.0
    assert seconds_of(limiter, 3) >= 0.2 - 0.002
