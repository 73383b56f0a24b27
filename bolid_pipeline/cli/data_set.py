"""`bolid crawl`, `prune` and `compact`: commands that work on the data set outside of a Dagster run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from bolid_pipeline.cli.errors import one_line_errors
from bolid_pipeline.names import printable
from bolid_pipeline.scraping.config import CrawlConfig
from resources.environment import current_deployment

_LISTS_OF_PEOPLE = ("included_identities", "excluded_identities")


@click.command()
@click.option(
    "--dry-run", is_flag=True, help="Read the galleries, fetch no photo, say what would be fetched."
)
@click.option("--only", "included_identities", multiple=True, help="Crawl this person; may be repeated.")
@click.option("--block", "excluded_identities", multiple=True, help="Not this one; may be repeated.")
@click.option("--order", type=click.Choice(["alphabetical", "random"]), help="Who comes first.")
@click.option("--seed", type=int, help="Of the random order.")
@click.option("--max-people", "max_identities", type=click.IntRange(0), help="People with enough photos.")
@click.option("--min-photos", type=click.IntRange(0), help="People with fewer are left out.")
@click.option(
    "--max-photos", "max_photos_per_identity", type=click.IntRange(0), help="Photos of each person."
)
@click.option("--max-requests", type=click.IntRange(0), help="Budget of this run.")
@click.option("--max-minutes", type=click.FloatRange(0), help="Budget of this run.")
@click.option("--contact", help="Mail address or page by which whoever runs the site can reach you.")
@click.option(
    "--rate", "requests_per_second", type=click.FloatRange(0, min_open=True), help="Most requests per second."
)
@one_line_errors
def crawl(*, dry_run: bool, **options: Any) -> None:
    """Fetch new photos from the deployment's site or folder, as `identity_catalogue` and `raw_photos` do.

    A run that was stopped, by a budget or by Ctrl-C, goes on where it was.
    """
    from bolid_pipeline.scraping.crawler import CrawlReport, crawl_catalogue, crawl_photos, plan_photos
    from bolid_pipeline.storage.photos import PhotoStore
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore
    from resources.photo_source import photo_source_of

    deployment = current_deployment()
    manners = _overridden(deployment.crawl, options)
    tables, photos = TableStore(deployment.data_dir), PhotoStore(deployment.data_dir)
    with hold_store(deployment.data_dir, "bolid crawl"), photo_source_of(deployment).open(manners) as source:
        tables.recover()
        photos.recover()
        reports: list[CrawlReport] = []
        if manners.has_budget and not dry_run and plan_photos(tables, manners, source.label).num_photos:
            reports.append(crawl_photos(source, tables, photos))  # or the catalogue may spend every budget
        reports.append(crawl_catalogue(source, tables))
        if not dry_run:
            reports.append(crawl_photos(source, tables, photos))
    for report in reports:
        click.echo(report)
    if dry_run:
        click.echo(plan_photos(tables, manners, source.label))


def _overridden(manners: CrawlConfig, options: Mapping[str, Any]) -> CrawlConfig:
    """The deployment's bounds with those that were given on the command line."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    lists = {name: frozenset(given[name]) for name in _LISTS_OF_PEOPLE if name in given}
    blocked = manners.excluded_identities | lists.get("excluded_identities", frozenset())
    return replace(manners, **{**given, **lists, "excluded_identities": blocked})


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@one_line_errors
def prune(*, yes: bool) -> None:
    """Delete the people of other sources than BOLID_SOURCE_URL. A crawl of their source brings them back."""
    from bolid_pipeline.scraping.origins import people_to_prune
    from bolid_pipeline.storage.people import delete_people
    from bolid_pipeline.storage.photos import PhotoStore
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore
    from resources.photo_source import photo_source_of

    deployment = current_deployment()
    tables, photos = TableStore(deployment.data_dir), PhotoStore(deployment.data_dir)
    with photo_source_of(deployment).open(deployment.crawl) as source:
        current = source.label
    others = people_to_prune(tables, current)
    if not others:
        click.echo(f"nothing to delete: {deployment.data_dir} holds people of {current} only")
        return
    for label, people in sorted(others.items()):
        click.echo(printable(f"{label}: {len(people)} people"))
    if not yes:
        num_left = tables.count("identity_catalogue") - sum(map(len, others.values()))
        question = f"Delete them and their photos? What stays is {num_left} people of {current}."
        click.confirm(printable(question), abort=True)
    with hold_store(deployment.data_dir, "bolid prune"):
        tables.recover()
        photos.recover()
        removal = delete_people(tables, photos, [person for people in others.values() for person in people])
    click.echo(f"deleted {removal.num_photos} photos and {removal.num_rows} rows")


@click.command()
@one_line_errors
def compact() -> None:
    """Merge the small files that many refreshes leave; refreshes do so themselves where a table has very many."""
    from bolid_pipeline.storage.store_lock import hold_store
    from bolid_pipeline.storage.tables import TableStore

    data_dir = current_deployment().data_dir
    with hold_store(data_dir, "bolid compact"):
        tables = TableStore(data_dir)
        tables.recover()
        for table in tables.names:
            click.echo(f"{table}: {tables.compact(table)} files fewer")
