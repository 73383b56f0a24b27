from bolid_pipeline.scraping.report import CrawlReport


def test_the_rate_of_a_report():
    assert CrawlReport(requests=10, bytes=0, retries=0, seconds=2.0).requests_per_second == 5.0
    assert CrawlReport(requests=0, bytes=0, retries=0, seconds=0.0).requests_per_second == 0.0
