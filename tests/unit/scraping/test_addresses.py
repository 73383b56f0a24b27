import pytest

from bolid_pipeline.errors import DownloadFailed
from bolid_pipeline.scraping.addresses import check_host, check_peer, is_internal

SITE = "https://www.theplace.ru"


@pytest.mark.parametrize(
    "url", ["https://www.theplace.ru/a", "https://theplace.ru/a", "https://www.theplace.ru/photos/?page=2"]
)
def test_the_site_is_its_host_with_and_without_www(url):
    check_host(url, SITE)


@pytest.mark.parametrize(
    "url",
    [
        "https://theplace-2.com/a",
        "https://www.theplace.ru.evil.example/a",
        "https://evil.example/www.theplace.ru",
        "https://www.theplace.ru@evil.example/",
        "https://www.theplace.ru:8443/a",
        "http://www.theplace.ru/a",
        "ftp://www.theplace.ru/a",
        "file:///etc/passwd",
        "//www.theplace.ru/a",
        "https://[::1",
        "",
    ],
)
def test_everything_else_is_foreign(url):
    with pytest.raises(DownloadFailed) as failure:
        check_host(url, SITE)
    assert failure.value.reason == "foreign_host"


def test_a_site_without_encryption_may_send_to_one_with_it():
    check_host("https://127.0.0.1:80/a", "http://127.0.0.1:80")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
    ],
)
def test_internal_addresses_are_known_in_all_their_spellings(address):
    assert is_internal(address)
    with pytest.raises(DownloadFailed, match="no public address") as failure:
        check_peer("www.theplace.ru", address)
    assert failure.value.reason == "internal_address"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])
def test_public_addresses_are_fine(address):
    assert not is_internal(address)
    check_peer("www.theplace.ru", address)


def test_a_name_is_internal_only_as_localhost():
    assert is_internal("localhost")
    assert not is_internal("www.theplace.ru")
