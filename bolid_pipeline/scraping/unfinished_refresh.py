"""When the refresh of the catalogue began that a budget has stopped: the next one goes on where it was."""

from datetime import datetime

from bolid_pipeline.storage.atomic import write_atomically
from bolid_pipeline.storage.location import Location


class UnfinishedRefresh:
    """The file `<data_dir>/unfinished_refresh.txt`, which is there from a spent budget to the refresh's end."""

    def __init__(self, data_dir: Location) -> None:
        self._path = data_dir / "unfinished_refresh.txt"
        self.began_at = datetime.fromisoformat(self._path.read_text()) if self._path.exists() else None

    def covers(self, refreshed_at: datetime | None) -> bool:
        """Whether a gallery that was looked at then has had its turn."""
        return self.began_at is not None and refreshed_at is not None and refreshed_at >= self.began_at

    def leave(self, began_at: datetime) -> None:
        """Note a refresh that was stopped; one that was stopped before counts from its own beginning."""
        write_atomically(self._path, (self.began_at or began_at).isoformat().encode())

    def finish(self) -> None:
        """Every gallery has had its turn."""
        self._path.unlink(missing_ok=True)
