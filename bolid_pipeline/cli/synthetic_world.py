"""`bolid bodyworld render` and `bolid bodyworld site`: the synthetic world, and its stand-in of the gallery site."""

from pathlib import Path

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.names import printable
from resources.embedded_world import needing_bodyworld
from resources.environment import current_deployment

_FOLDER = click.Path(file_okay=False, path_type=Path)
_MOST = 10_000


@click.group()
def bodyworld() -> None:
    """The synthetic world: photos of people who do not exist, and a stand-in of the gallery site."""


@bodyworld.command()
@click.argument("folder", type=_FOLDER)
@click.option("--identities", type=click.IntRange(0, _MOST), default=8, show_default=True, help="People.")
@click.option(
    "--photos", type=click.IntRange(0, _MOST), default=28, show_default=True, help="Photos of each."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@one_line_errors
def render(folder: Path, identities: int, photos: int, seed: int) -> None:
    """Render a world into FOLDER; does nothing if the same world is already there.

    Another world there is replaced; a folder that holds anything else is refused.
    """
    with needing_bodyworld():
        from bodyworld.world.build import WorldConfig, build_world

    build_world(WorldConfig(seed=seed, num_identities=identities, num_photos_per_identity=photos), folder)
    click.echo(printable(str(folder)))


@bodyworld.command()
@click.argument("folder", type=_FOLDER, required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8600,
    show_default=True,
    help="On loopback; 0 for a free one.",
)
@one_line_errors
def site(folder: Path | None, port: int) -> None:
    """Serve the world in FOLDER (the demo's by default) as the gallery site, for a browser, until Ctrl-C."""
    with needing_bodyworld():
        from bodyworld.site.server import BodyworldSite

    stand_in = BodyworldSite(folder or current_deployment().local_root / "bodyworld", port)
    click.echo(f"{stand_in.url}/photos/")
    stand_in.serve()
