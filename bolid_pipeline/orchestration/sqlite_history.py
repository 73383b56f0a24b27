"""Dagster's history in SQLite files, with a word about the folders that it cannot live in.

Dagster exports the storage that it uses by default from a private module only.
"""

from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from dagster._core.storage import sqlite_storage

from bolid_pipeline.errors import ConfigurationError


class SqliteHistory(sqlite_storage.DagsterSqliteStorage):
    """Dagster's default storage.

    It reads two paths as what they are not: that of its migrations as a template, in which `%` means something, and
    that of the files as an address, in which `?` and `%2F` do.
    """

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        """Return the storage in `base_dir`. Raises ConfigurationError if Dagster cannot use one of the two paths."""
        installed = sqlite_storage.__file__.partition("/lib/")[0]
        history = str(Path(config_value["base_dir"]).absolute())
        if "%" in installed:
            raise ConfigurationError(
                f"Dagster is installed in {installed}, and cannot work below a folder with % in its name: rename the "
                "folder, then run `uv sync` again"
            )
        if "?" in history or unquote(history) != history:
            raise ConfigurationError(
                f"Dagster cannot keep its history in {history}, because of the ? or % in it: rename the folder"
            )
        return cls.from_local(inst_data=inst_data, **config_value)
