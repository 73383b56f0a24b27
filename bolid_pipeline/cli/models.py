"""`bolid models`: the pretrained models of this deployment, their licences, and where they are."""

from collections.abc import Callable, Iterator, Sequence

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import BolidError, ConfigurationError, HubUnreachable, WeightsMissing
from bolid_pipeline.names import printable
from bolid_pipeline.pretrained.hub import fetch as fetch_model
from bolid_pipeline.pretrained.hub import find_or_fetch, make_pin
from bolid_pipeline.pretrained.pins import read_pins, with_pin, write_pins
from resources.deployments import Deployment
from resources.environment import current_deployment
from resources.model_hub import ListedModel, model_hub_of

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_ROLES = click.argument("roles", nargs=-1)


@click.group(invoke_without_command=True)
@click.pass_context
@one_line_errors
def models(context: click.Context) -> None:
    """List the pretrained models of this deployment: licence, size, and where each was found.

    They are looked for in BOLID_WEIGHTS_DIR, then in the Hugging Face cache, then downloaded; HF_HUB_OFFLINE=1 forbids
    the last. Files whose sha256 is known are checked before each use.
    """
    if context.invoked_subcommand is None:
        listed = model_hub_of(current_deployment()).listed()
        rows = [("role", "model", "licence", "size", "found in", "known sha256"), *map(_row, listed)]
        for line in _aligned(rows):
            click.echo(printable(line))


@models.command()
@_ROLES
@click.option("--anew", is_flag=True, help="Download also the files that are in the Hugging Face cache.")
@one_line_errors
def fetch(roles: tuple[str, ...], *, anew: bool) -> None:
    """Download the models of ROLES that are not on this machine yet, or of all roles, and check them."""
    deployment = current_deployment()

    def fetched(listed: ListedModel) -> str:
        get = fetch_model if anew else find_or_fetch
        found = get(listed.model, listed.pin, deployment.weights_dir)
        return f"{found.path} ({found.place})"

    _for_each(deployment, roles, fetched)


@models.command()
@_ROLES
@one_line_errors
def verify(roles: tuple[str, ...]) -> None:
    """Read the files of ROLES, or of all roles, and compare their sha256 with the known ones."""

    def verified(listed: ListedModel) -> str:
        if listed.found is None:
            raise WeightsMissing(f"{listed.model.address} is not on this machine: `bolid models fetch`")
        num_known, num_files = listed.found.verify(listed.pin.sha256), len(listed.found.files)
        unknown = num_files - num_known
        return f"{num_known} files are right" + (f", of {unknown} no sha256 is known" if unknown else "")

    _for_each(current_deployment(), roles, verified)


@models.command()
@_ROLES
@click.option("--newest", is_flag=True, help="Take the newest commits, and not those that are known.")
@one_line_errors
def pin(roles: tuple[str, ...], *, newest: bool) -> None:
    """Write the versions of ROLES, or of all roles, into the pins file, so that every later run uses just these.

    What lies in BOLID_WEIGHTS_DIR is pinned as it is there; of the others the Hugging Face hub is asked for the sha256
    of each large file.
    """
    deployment = current_deployment()
    path = deployment.pins_file

    def pinned(listed: ListedModel) -> str:
        new = make_pin(listed.model, listed.pin, deployment.weights_dir, newest=newest)
        write_pins(path, with_pin(read_pins(path), listed.model, new))
        return f"{new.revision or 'the files that are here'}, {len(new.sha256)} sha256"

    if not deployment.weight_repositories:
        raise ConfigurationError(f"the models of {deployment.name} travel with BoLID and need no pins")
    _for_each(deployment, roles, pinned)
    click.echo(printable(f"written to {path}"))


def _for_each(deployment: Deployment, roles: Sequence[str], do: Callable[[ListedModel], str]) -> None:
    """Do something for the model of each role, say what came of it, and end with exit code 1 if one failed.

    Raises:
        ConfigurationError: this deployment has no such role.
    """
    listed = {each.role: each for each in model_hub_of(deployment).listed()}
    if unknown := [role for role in roles if role not in listed]:
        raise ConfigurationError(
            f"{deployment.name} has no model for {', '.join(unknown)}; its roles are {', '.join(listed)}"
        )
    failed = 0
    for role in roles or listed:
        try:
            click.echo(printable(f"{role}: {do(listed[role])}"))
        except BolidError as error:
            failed += 1
            click.echo(printable(f"Error: {role}: {error}"), err=True)
            if isinstance(
                error, HubUnreachable
            ):  # after half a minute of trying, which each role would cost anew
                break
    if failed:
        raise click.exceptions.Exit(1)


def _row(listed: ListedModel) -> tuple[str, ...]:
    model, found = listed.model, listed.found
    place = found.place if found else "nowhere here" if listed.pin.revision else "nowhere here, not pinned"
    size_bytes = found.size_bytes if found else model.size_bytes
    known = len(listed.pin.sha256.keys() & found.files) if found else len(listed.pin.sha256)
    return (
        listed.role,
        model.address,
        model.licence.name if model.licence else "not known",
        "not known" if size_bytes is None else _size(size_bytes),
        place,
        f"{known} of {len(found.files)}" if found else str(known),
    )


def _size(size_bytes: int) -> str:
    unit, name = next(((unit, name) for unit, name in _UNITS if size_bytes >= unit), _UNITS[-1])
    return f"{size_bytes / unit:.1f} {name}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
