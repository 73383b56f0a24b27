"""Errors on the command line: one line and the exit code 1, without a traceback; log lines that a terminal can show."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from bolid_pipeline.errors import BolidError
from bolid_pipeline.names import printable


class PrintableFormatter(logging.Formatter):
    """Formats log lines for a terminal: what a site or a file's name holds is shown, and not obeyed."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The record's line."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The traceback's lines."""
        return "\n".join(map(printable, super().formatException(ei).splitlines()))


_STORAGE_LIBRARIES = ("botocore", "aiobotocore", "gcsfs", "google")
"""They need not be installed, and have errors of their own for missing keys or a host that does not answer."""


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with BoLID's own errors, and what the operating system refuses, shown as one line."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BolidError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:  # `bolid ... | head`; click ends quietly
            raise
        except OSError as error:
            place = f"{error.filename}: " if error.filename is not None else ""
            raise click.ClickException(printable(f"{place}{error.strerror or error}")) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _STORAGE_LIBRARIES:
                raise
            raise click.ClickException(printable(f"the object storage: {error}")) from error

    return wrapped
