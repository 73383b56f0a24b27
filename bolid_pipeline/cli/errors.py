"""Errors on the command line: one line and the exit code 1, without a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from bolid_pipeline.errors import BolidError


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with BoLID's own errors shown as one line."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BolidError as error:
            raise click.ClickException(str(error)) from error

    return wrapped
