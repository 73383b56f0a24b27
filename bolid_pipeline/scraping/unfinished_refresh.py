"""A refresh of the catalogue that a budget has stopped goes on in the next run."""

from datetime import datetime

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location


class UnfinishedRefresh:
    """The file `<data_dir>/unfinished_refresh.txt`: the start time of a refresh that a budget has stopped.

    It stays until a refresh reaches its end, and the refreshes in between go on where the last one was.
    """

    def __init__(self, data_dir: Location) -> None:
        self._path = data_dir / "unfinished_refresh.txt"
        self._began_at = datetime.fromisoformat(self._path.read_text()) if self._path.exists() else None

    def covers(self, refreshed_at: datetime | None) -> bool:
        """True if a gallery last looked at then has had its turn in this refresh."""
        return self._began_at is not None and refreshed_at is not None and refreshed_at >= self._began_at

    def leave(self, began_at: datetime) -> None:
        """Note that a budget has stopped the refresh; the start time is that of its first run."""
        write_atomically(self._path, (self._began_at or began_at).isoformat().encode())

    def finish(self) -> None:
        """Note that every gallery has had its turn."""
        self._path.unlink(missing_ok=True)
