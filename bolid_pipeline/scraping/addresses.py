"""Addresses that a crawl may reach: the site's own hosts, and only public machines behind a public name."""

import ipaddress
from urllib.parse import urlsplit

from bolid_pipeline.errors import DownloadFailed


class SiteAddresses:
    """Translates between the addresses that pages are remembered by and those that are asked on the network.

    Args:
        base_url: the address that answers: the site, a mirror, or a stand-in.
        canonical_url: the address that pages are remembered by.
    """

    def __init__(self, base_url: str, canonical_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._canonical_url = canonical_url.rstrip("/")
        self.is_internal = is_internal(urlsplit(base_url).hostname or "")
        """True if the site itself is on this machine or in a private network."""

    def on_network(self, url: str) -> str:
        """The address to ask for a canonical one."""
        is_ours = url.startswith(self._canonical_url)
        return self.base_url + url.removeprefix(self._canonical_url) if is_ours else url

    def canonical(self, network_url: str) -> str:
        """The address to remember a page by that came from `network_url`."""
        is_ours = network_url.startswith(self.base_url)
        return self._canonical_url + network_url.removeprefix(self.base_url) if is_ours else network_url

    def check_peer(self, host: str, peer: str) -> None:
        """`check_peer`, unless the site was given by an internal address: then it may be internal."""
        if not self.is_internal:
            check_peer(host, peer)


def is_internal(host: str) -> bool:
    """True if a host is written as an address of this machine or of a private network.

    A name other than `localhost` is not looked up; `check_peer` sees at the connection where it leads.
    """
    if host == "localhost":
        return True
    try:
        return not _is_public(host)
    except ValueError:
        return False


def check_host(url: str, base_url: str) -> None:
    """Check that an address has the host of `base_url`, and its scheme or https; `www.` makes no difference.

    Raises:
        DownloadFailed: `foreign_host`.
    """
    if not _is_same_site(url, base_url):
        raise DownloadFailed(f"{url} lies outside of {base_url}", reason="foreign_host")


def check_peer(host: str, peer: str) -> None:
    """Check that a public host's name has led to a public address, because the owner of a name can point it anywhere.

    Args:
        host: the name that was asked for.
        peer: the IP address at the other end of the connection.

    Raises:
        DownloadFailed: `internal_address`.
    """
    if not _is_public(peer):
        raise DownloadFailed(
            f"{host} leads to {peer}, which is no public address; if that is meant, "
            "write the address itself into BOLID_SOURCE_URL",
            reason="internal_address",
        )


def _is_same_site(url: str, base_url: str) -> bool:
    base = urlsplit(base_url)
    try:
        asked = urlsplit(url)
    except ValueError:
        return False
    same_host = asked.netloc.removeprefix("www.") == base.netloc.removeprefix("www.")
    return same_host and asked.scheme in (base.scheme, "https")


def _is_public(address: str) -> bool:
    """True if an IP address belongs to the public network. Raises ValueError if the text is not an IP address."""
    ip = ipaddress.ip_address(address.strip("[]"))
    # An IPv4 address may be written inside an IPv6 one, which by itself would count as public.
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_global
