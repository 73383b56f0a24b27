"""User and password in addresses: taken out where an address is read, and hidden wherever one is shown."""

import re
from collections.abc import Mapping
from typing import Any, cast

# A password may hold a slash or another `@`, but `//host:80/@page` has none.
_LOGIN = re.compile(r"(?<=:)//(?:[^/\s@:'\"]*:(?!\d+[/?#])[^\s'\"]*|[^/\s@'\"]+)@")
_ADDRESS_WITH_LOGIN = re.compile(r"\s*(\w[\w+.-]*://)([^/@:]*(?::(?!\d+[/?#]).*)?)@(.*)", re.DOTALL)


def without_logins(text: str) -> str:
    """The text, with `***` in place of user and password in its addresses: `https://***@host/`."""
    return _LOGIN.sub("//***@", text) if "@" in text else text


def without_logins_inside(value: Any) -> Any:
    """The same for all texts in nested mappings and lists."""
    if isinstance(value, str):
        return without_logins(value)
    if isinstance(value, Mapping):
        return {name: without_logins_inside(each) for name, each in cast(Mapping[Any, Any], value).items()}
    return (
        [without_logins_inside(each) for each in cast(list[Any], value)] if isinstance(value, list) else value
    )


def split_login(address: str) -> tuple[str, str | None]:
    """An address without its `user:password@`, and these two as they are written there; None if it has none."""
    parts = _ADDRESS_WITH_LOGIN.fullmatch(address)
    return (f"{parts[1]}{parts[3]}", parts[2]) if parts else (address, None)
