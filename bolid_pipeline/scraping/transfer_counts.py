"""Counts of a photo source's transfers so far."""

import threading
from dataclasses import dataclass, field


@dataclass
class TransferCounts:
    """Sums over the life of a source; `add` may be called from many threads."""

    requests: int = 0
    """Requests sent, further tries and redirects included."""
    bytes: int = 0
    """Bytes of bodies, unpacked."""
    retries: int = 0
    """Further tries."""
    not_modified: int = 0
    """Pages that had not changed since they were last fetched."""
    seconds_waited: float = 0.0
    """Waits for the rate, for Retry-After and before further tries, summed over threads."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def add(
        self,
        *,
        requests: int = 0,
        bytes: int = 0,  # noqa: A002 - the name of the count
        retries: int = 0,
        not_modified: int = 0,
        seconds_waited: float = 0.0,
    ) -> None:
        """Add to the counts."""
        with self._lock:
            self.requests += requests
            self.bytes += bytes
            self.retries += retries
            self.not_modified += not_modified
            self.seconds_waited += seconds_waited
