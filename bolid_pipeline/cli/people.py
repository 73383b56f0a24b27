"""`bolid forget` and `bolid block`: people who are removed, and people who are never crawled."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.names import as_identity, identity_of_path, printable, same_name
from resources.environment import current_deployment

if TYPE_CHECKING:
    from bolid_pipeline.cli.forgetting import ForgetReport
    from resources.deployments import Deployment


@click.command()
@click.argument("identity")
@click.option("--keep-history", is_flag=True, help="Leave the runs that name or show the person.")
@click.confirmation_option(prompt="Remove this person from the data set and the run history for good?")
@one_line_errors
def forget(identity: str, *, keep_history: bool) -> None:
    """Remove a person from tables, photos, body banks, reports and the run history, and never crawl them again.

    Runs of the history that name the person are deleted, and runs whose pictures may show them.
    """
    from bolid_pipeline.cli.forgetting import forget as forget_person
    from resources.run_history import open_run_history

    deployment = current_deployment()
    with open_run_history() as history:
        report = forget_person(
            deployment.data_dir,
            identity,
            local_dir=deployment.local_dir,
            history=history,
            keeps_history=keep_history,
        )
        has_history = history is not None
    for line in _what_was_removed(report, keeps_history=keep_history, has_history=has_history):
        click.echo(line)
    for folder in _folders_of(deployment, report.identity):
        click.echo(
            f"{printable(str(folder))} still holds your photos; crawls leave it out. Delete it if you want them gone."
        )


@click.command()
@click.argument("names", nargs=-1, required=True)
@one_line_errors
def block(names: tuple[str, ...]) -> None:
    """Never crawl these people, in any spelling of their names, whether they are known already or not."""
    from bolid_pipeline.scraping.forgotten import list_of_forgotten, remember_to_forget
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore

    if not all(name.strip() for name in names):
        raise ConfigurationError("one of the names is empty; give the names of people, such as 'anna_bell'")
    deployment = current_deployment()
    with hold_store(deployment.data_dir, "bolid block"):
        remember_to_forget(deployment.data_dir, *names)
        catalogue = TableStore(deployment.data_dir).read("identity_catalogue", ["identity"])
    blocked = {same_name(name) for name in names}
    click.echo(f"never crawled: {', '.join(as_identity(name) for name in names)}")
    for known in catalogue["identity"].to_pylist():
        if same_name(known) in blocked:
            click.echo(f"{known} was crawled before: `bolid forget {known}` removes what is there")
    path = list_of_forgotten(deployment.data_dir)
    click.echo(printable(f"To allow somebody again, delete the line in {path}."))


def _what_was_removed(report: "ForgetReport", *, keeps_history: bool, has_history: bool) -> list[str]:
    who = report.identity
    lines = [f"removed {report.num_photos} photos and {report.num_rows} rows of {who}"]
    if report.models.checkpoints:
        lines += [
            f"removed from the body bank of: {', '.join(report.models.checkpoints)}",
            "The branches still hold what they learned from the photos: run full_refresh to train them again.",
        ]
    if report.models.deleted:
        lines.append(f"deleted, because they hold or may show {who}: {', '.join(report.models.deleted)}")
    lines += report.models.left
    if not has_history:
        lines.append(
            "No run history was looked through: there is neither DAGSTER_HOME nor a dagster.yaml in this folder. "
            "Run the same command where Dagster runs."
        )
    elif report.runs and keeps_history:
        lines.append(
            f"kept in the history: runs {', '.join(report.runs)}; without --keep-history they are deleted"
        )
    elif report.runs:
        lines.append(f"deleted {len(report.runs)} runs of the history, which named or may have shown {who}")
    if report.num_photos or report.models.checkpoints:
        lines.append(f"Pictures that `bolid generate` drew of {who} stay where you wrote them.")
    return [printable(line) for line in lines]


def _folders_of(deployment: "Deployment", identity: str) -> list[Path]:
    """The folders of a person in a folder of one's own photos."""
    from resources.source_address import folder_of, is_folder

    address = deployment.source_url
    if address is None or not is_folder(address) or not (root := folder_of(address)).is_dir():
        return []
    wanted = same_name(identity)
    return [path for path in root.iterdir() if path.is_dir() and same_name(identity_of_path(path)) == wanted]
