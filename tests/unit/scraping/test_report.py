import pytest

from bolid_pipeline.errors import SourceUnreachable
from bolid_pipeline.scraping.report import CrawlReport, FailureStreak

ERROR = SourceUnreachable("down")


def test_failures_in_a_row_end_the_crawl_but_scattered_ones_do_not():
    streak = FailureStreak(2)
    for _ in range(3):
        streak.failure(ERROR)
        streak.success()
    streak.finish()
    streak.failure(ERROR)
    with pytest.raises(SourceUnreachable):
        streak.failure(ERROR)


def test_nothing_but_failures_ends_the_crawl_even_if_they_are_few():
    streak = FailureStreak(10)
    streak.failure(ERROR)
    with pytest.raises(SourceUnreachable):
        streak.finish()
    FailureStreak(10).finish()


def test_the_rate_of_a_report():
    assert CrawlReport(requests=10, bytes=0, retries=0, seconds=2.0).requests_per_second == 5.0
    assert CrawlReport(requests=0, bytes=0, retries=0, seconds=0.0).requests_per_second == 0.0
