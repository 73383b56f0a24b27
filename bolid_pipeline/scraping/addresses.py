"""Which addresses may be asked: the hosts that are the site, and what their names may lead to."""

import ipaddress
from urllib.parse import urlsplit

from bolid_pipeline.errors import DownloadFailed


def is_internal(host: str) -> bool:
    """Whether a host is written as an address of this machine or of a network that is not the public one.

    A name other than `localhost` is not looked up: what it leads to is seen at the connection, by `check_peer`.
    """
    if host == "localhost":
        return True
    try:
        return not _public(host)
    except ValueError:
        return False


def check_host(url: str, base_url: str) -> None:
    """The base address's host and scheme, or https; a bare host and its `www.` are one.

    Raises:
        DownloadFailed: `foreign_host`.
    """
    if not _is_own(url, base_url):
        raise DownloadFailed(f"{url} lies outside of {base_url}", reason="foreign_host")


def _is_own(url: str, base_url: str) -> bool:
    base = urlsplit(base_url)
    try:
        asked = urlsplit(url)
    except ValueError:
        return False
    same_host = asked.netloc.removeprefix("www.") == base.netloc.removeprefix("www.")
    return same_host and asked.scheme in (base.scheme, "https")


def check_peer(host: str, peer: str) -> None:
    """The address that a public host's name led to is a public one: a name can be made to lead anywhere.

    Args:
        host: the name that was asked for.
        peer: the IP address at the other end of the connection.

    Raises:
        DownloadFailed: `internal_address`.
    """
    if not _public(peer):
        raise DownloadFailed(
            f"{host} leads to {peer}, which is no public address; if that is meant, "
            "write the address itself into BOLID_SOURCE_URL",
            reason="internal_address",
        )


def _public(address: str) -> bool:
    """Whether an IP address is one of the public network. Raises ValueError for what is no IP address."""
    ip = ipaddress.ip_address(address.strip("[]"))
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global
