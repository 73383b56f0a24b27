"""The command line `bolid`; each module holds the commands of one subject."""

import logging

import click

from bolid_pipeline.cli.data_set import compact, crawl, prune
from bolid_pipeline.cli.errors import PrintableFormatter
from bolid_pipeline.cli.models import models
from bolid_pipeline.cli.overview import overview
from bolid_pipeline.cli.people import block, forget
from bolid_pipeline.cli.pictures import generate, inspect
from bolid_pipeline.cli.plan import plan_command
from bolid_pipeline.cli.quickstart import quickstart
from bolid_pipeline.cli.settings import settings
from bolid_pipeline.cli.synthetic_world import bodyworld


@click.group()
@click.version_option(package_name="bolid-pipeline")
def main() -> None:
    """Body identity for text-to-image diffusion. BOLID_DEPLOYMENT and BOLID_DATA_DIR say which data are meant."""
    if logging.lastResort is not None:  # the handler of warnings that nobody else takes
        logging.lastResort.setFormatter(PrintableFormatter())


_COMMANDS = (
    quickstart,
    plan_command,
    overview,
    generate,
    inspect,
    bodyworld,
    crawl,
    forget,
    block,
    prune,
    compact,
    models,
    settings,
)
for command in _COMMANDS:
    main.add_command(command)
