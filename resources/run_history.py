"""Dagster's run history: the runs whose events or captured logs name a person or show pictures, and their deletion."""

import json
import logging
import os
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

_logger = logging.getLogger(__name__)

OF_STORE = "bolid/store"
"""Tag of a run: the data folder or address that it works on."""
_PICTURE = "data:image/"


@contextmanager
def open_run_history() -> Iterator["RunHistory | None"]:
    """The history of DAGSTER_HOME, or of this folder's `dagster.yaml`; None where there is neither."""
    home = os.environ.get("DAGSTER_HOME")
    if not home and not Path("dagster.yaml").is_file():
        yield None
        return
    with dg.DagsterInstance.from_config(home or str(Path.cwd())) as instance:
        yield RunHistory(instance)


class RunHistory:
    """The runs that an instance of Dagster remembers."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def runs_about(self, data_dir: str, identity: str, since: datetime | None) -> list[str]:
        """Ids of the runs on a data folder that name a person, or that show pictures and ended after `since`.

        Pictures in the history are sheets of many people's photos, so each of them may show the person.

        Args:
            data_dir: as the runs' tag says it.
            identity: the person.
            since: when the person's first photo came; None if there is no photo.
        """
        spellings = {identity, quote(identity, safe="")}
        name = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, spellings))})(?!\w)")
        records = self._instance.get_run_records(dg.RunsFilter(tags={OF_STORE: data_dir}))
        about: list[str] = []
        for record in records:
            is_after = since is not None and (record.end_time or float("inf")) >= since.timestamp()
            run_id = record.dagster_run.run_id
            if any(name.search(text) or (is_after and _PICTURE in text) for text in self._texts(run_id)):
                about.append(run_id)
        return about

    def delete(self, run_ids: Collection[str]) -> None:
        """Delete runs with their events and captured logs, and the page's memory of the assets that they wrote."""
        assets: set[dg.AssetKey] = set()
        for run_id in run_ids:
            events = (entry.dagster_event for entry in self._instance.all_logs(run_id))
            assets.update(event.asset_key for event in events if event and event.asset_key)
            self._instance.compute_log_manager.delete_logs(prefix=[run_id])
            self._instance.delete_run(run_id)
        if assets:
            self._instance.wipe_assets(list(assets))  # an asset's latest event is kept apart from its run
        self._empty_files(run_ids)

    def _empty_files(self, run_ids: Collection[str]) -> None:
        """Free the deleted pages of SQLite's files: not every build of SQLite overwrites what it deletes."""
        path_of = getattr(self._instance.event_log_storage, "path_for_shard", None)
        if path_of is None:
            return  # PostgreSQL does so by itself
        for run_id in run_ids:
            Path(path_of(run_id)).unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(path_of("index"))) as index:
                index.execute("VACUUM")
                index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            _logger.warning(
                "%s: %s, so deleted events may be left in its free pages; stop `dagster dev` and forget again",
                path_of("index"),
                error,
            )

    def _texts(self, run_id: str) -> Iterator[str]:
        """All texts in the events of a run and in its captured logs."""
        for entry in self._instance.all_logs(run_id):
            yield from _strings(json.loads(entry.to_json()))
            captured = entry.dagster_event and entry.dagster_event.event_specific_data
            if isinstance(file_key := getattr(captured, "file_key", None), str):
                log = self._instance.compute_log_manager.get_log_data([run_id, "compute_logs", file_key])
                yield from ((data or b"").decode("utf-8", "replace") for data in (log.stdout, log.stderr))


def _strings(value: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)
