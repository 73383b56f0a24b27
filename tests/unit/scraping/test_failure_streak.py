"""When failures in a row leave a person, and when they end a crawl."""

import pytest

from bolid_pipeline.errors import DownloadFailed, ScrapingError, SourceUnreachable
from bolid_pipeline.scraping.config import CrawlBounds
from bolid_pipeline.scraping.failure_streak import FailureStreak

DOWN = SourceUnreachable("down")
FORBIDDEN = DownloadFailed("not for you", reason="forbidden")
PEOPLE = [f"person_{n}" for n in range(10)]


@pytest.fixture
def streak() -> FailureStreak:
    return FailureStreak(CrawlBounds(max_failures_in_a_row=4, max_refusals_in_a_row=6))


def fail(streak: FailureStreak, error: ScrapingError, *people: str) -> None:
    for identity in people:
        streak.failure(identity, error)


def test_failures_of_the_site_end_the_crawl_once_they_come_from_several_people(streak):
    fail(streak, DOWN, *["anna"] * 10, *["boris"] * 10)
    with pytest.raises(SourceUnreachable):
        fail(streak, DOWN, "clara")


def test_a_few_people_who_fail_do_not_end_it(streak):
    for _ in range(5):
        fail(streak, DOWN, "anna", "boris", "clara")
        streak.success("dora")
    streak.finish()


@pytest.mark.parametrize(("error", "most"), [(DOWN, 4), (FORBIDDEN, 6)])
def test_a_person_is_given_up_after_too_many_failures_in_a_row(streak, error, most):
    fail(streak, error, *["anna"] * (most - 1))
    assert not streak.gives_up("anna")
    streak.success("anna")
    fail(streak, error, *["anna"] * (most - 1))
    assert not streak.gives_up("anna")
    fail(streak, error, "anna")
    assert streak.gives_up("anna")
    assert not streak.gives_up("boris")


def test_refusals_end_the_crawl_only_while_nothing_has_succeeded(streak):
    with pytest.raises(DownloadFailed):
        fail(streak, FORBIDDEN, *PEOPLE)
    streak.success("anna")
    fail(streak, FORBIDDEN, *PEOPLE)
    streak.finish()


def test_nothing_but_failures_is_an_error_even_if_they_are_few(streak):
    streak.finish()
    fail(streak, FORBIDDEN, "anna")
    with pytest.raises(DownloadFailed):
        streak.finish()


def test_a_site_that_fails_to_the_end_is_an_error_although_it_worked_before(streak):
    streak.success("anna")
    fail(streak, DOWN, *["boris"] * 4)
    with pytest.raises(SourceUnreachable):
        streak.finish()
