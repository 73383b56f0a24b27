"""What a robot is asked, and when it may send."""

import time

import pytest

from bolid_pipeline.scraping.politeness import Turnstile, forbids_ai


@pytest.mark.parametrize(
    ("headers", "is_forbidden"),
    [
        ([], False),
        (["noindex, nofollow"], False),
        (["noai"], True),
        (["NoImageAI"], True),
        (["noindex, noai, nofollow"], True),
        (["max-snippet: 5, noai"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], False),
        (["bolid-crawler: noai"], True),
        (["BoLID-crawler: noindex, noimageai"], True),
        (["*: noai"], True),
        (["otherbot: noai, noimageai"], False),
        (["otherbot: noai", "noimageai"], True),
        (["otherbot: noindex", "bolid-crawler: noai"], True),
    ],
)
def test_what_is_not_for_ai_is_known_by_its_header(headers, is_forbidden):
    assert forbids_ai(headers, "BoLID-crawler") is is_forbidden


def seconds_of(turnstile: Turnstile, num_turns: int) -> float:
    started = time.monotonic()
    for _ in range(num_turns):
        with turnstile.turn():
            pass
    return time.monotonic() - started


def test_a_slowed_rate_recovers_after_good_answers():
    turnstile = Turnstile(requests_per_second=1000.0, max_concurrency=1)
    asked_at = time.monotonic()
    turnstile.slow_down(asked_at)
    turnstile.slow_down(asked_at)  # it was under way together with the first: no further reason
    assert turnstile.requests_per_second == 500.0
    turnstile.slow_down(time.monotonic())
    assert turnstile.requests_per_second == 250.0
    for _ in range(49):
        turnstile.speed_up()
    assert turnstile.requests_per_second == 250.0
    turnstile.speed_up()
    assert turnstile.requests_per_second == 500.0
    for _ in range(200):
        turnstile.speed_up()
    assert turnstile.requests_per_second == 1000.0


def test_a_host_is_never_slowed_to_a_stop():
    turnstile = Turnstile(requests_per_second=1600.0, max_concurrency=1)
    for _ in range(20):
        turnstile.slow_down(time.monotonic())
    assert turnstile.requests_per_second == 100.0


@pytest.mark.parametrize(
    ("requests_per_second", "num_turns", "least_seconds"),
    [(10.0, 4, 0.3), (1 / 0.3, 2, 0.3), (30.0, 10, 0.3), (200.0, 71, 0.3)],
)
def test_no_turn_comes_before_its_time(requests_per_second, num_turns, least_seconds):
    assert seconds_of(Turnstile(requests_per_second, 4), num_turns) >= least_seconds - 0.002


def test_quiet_is_kept_by_the_next_turn():
    turnstile = Turnstile(requests_per_second=1000.0, max_concurrency=2)
    turnstile.keep_quiet(0.3)
    turnstile.keep_quiet(0.1)
    assert seconds_of(turnstile, 1) >= 0.3
