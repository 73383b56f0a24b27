"""`bolid overview`: a page of what the data set holds."""

from pathlib import Path

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.names import printable
from resources.environment import current_deployment
from resources.table_store import data_store_of


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the page.  [default: in the data folder]",
)
@one_line_errors
def overview(*, out: Path | None) -> None:
    """Write a page of each person's photos: kept, rejected or refused, why, and what to do about it."""
    if out is not None and not out.name:
        raise ConfigurationError("--out is empty: name a file")
    deployment = current_deployment()
    click.echo(printable(str(data_store_of(deployment).write_overview(deployment, out))))
