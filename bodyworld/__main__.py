"""`python -m bodyworld person.png`: draw one person."""

from pathlib import Path

import click
import numpy as np
from PIL import Image

from bodyworld.render.identity import sample_identity
from bodyworld.render.renderer import render
from bodyworld.render.scene import sample_scene
from bodyworld.world.captions import caption


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Of the person, the scene and the grain.")
@click.option("--height", type=click.IntRange(min=16), default=900, show_default=True, help="In px.")
@click.option("--width", type=click.IntRange(min=16), default=600, show_default=True, help="In px.")
def main(*, path: Path, seed: int, height: int, width: int) -> None:
    """Draw a random person into the file PATH and print the caption."""
    rng = np.random.default_rng(seed)
    identity = sample_identity(rng)
    scene = sample_scene(rng, sex=identity.sex)
    Image.fromarray(render([(identity, scene)], height, width, rng).image).save(path)
    click.echo(caption(identity, scene))


if __name__ == "__main__":
    main()
