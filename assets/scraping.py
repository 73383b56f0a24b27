"""From the gallery site to photos on disk.

Each crawl writes more tables than the one that its asset is named after. The others are declared as assets that cannot
be materialised by themselves; the crawl that writes them reports them.
"""

from collections.abc import Sequence

import dagster as dg

from assets.checks import check_result
from assets.metadata import count_table, counts_as_numbers, counts_as_table, photo_sheet, rows_version, spread
from bolid_pipeline.scraping import checks
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from resources.deployments import Deployment
from resources.photo_source import PhotoSourceResource
from resources.table_store import DataStore


@dg.asset(kinds={"python", "parquet"}, code_version="1")
def identity_catalogue(
    context: dg.AssetExecutionContext,
    store: DataStore,
    photo_source: PhotoSourceResource,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """The people whose galleries are large enough, as the site lists them today."""
    with photo_source.open(deployment.crawl) as source:
        report = crawl_catalogue(source, store.tables)
    _report_table(context, store, photo_pages, ["page_url", "identity", "position"])
    _report_table(context, store, catalogue_pages, ["page_url", "etag"])
    rows = store.tables.read("identity_catalogue")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.num_rows,
            **report.costs,
            "num_failed": report.failures.total(),
            "statuses": count_table("status", rows["status"].to_pylist()),
            "failures": counts_as_table("reason", report.failures),
        },
        data_version=rows_version(rows, ["identity", "status", "listed_photos"]),
    )


photo_pages = dg.AssetSpec(
    "photo_pages",
    description="Every photo page that a gallery lists or once listed; written with `identity_catalogue`.",
    kinds={"parquet"},
    code_version="1",
    deps=[identity_catalogue],
)

catalogue_pages = dg.AssetSpec(
    "catalogue_pages",
    description="Lists of people and galleries as last seen, so that the next crawl asks only whether they have "
    "changed; written with `identity_catalogue`.",
    kinds={"parquet"},
    code_version="1",
    deps=[identity_catalogue],
)


@dg.asset(kinds={"python", "parquet"}, code_version="1", deps=[identity_catalogue, photo_pages])
def raw_photos(
    context: dg.AssetExecutionContext,
    store: DataStore,
    photo_source: PhotoSourceResource,
    deployment: dg.ResourceParam[Deployment],
) -> dg.MaterializeResult:
    """Every photo of the catalogued people, byte for byte as received; none is fetched twice."""
    with photo_source.open(deployment.crawl) as source:
        report = crawl_photos(source, store.tables, store.photos)
    _report_table(context, store, rejected_downloads, ["page_url", "reason"])
    rows = store.tables.read("raw_photos")
    shown = spread(rows, 24)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.num_rows,
            "num_computed": report.photos_new,
            "num_up_to_date": report.photos_known,
            "num_gone": report.photos_gone,
            **report.costs,
            "num_rejected": report.rejected.total(),
            **counts_as_numbers("num_rejected", report.rejected),
            "refused": count_table("reason", store.tables.read("rejected_downloads")["reason"].to_pylist()),
            "photos_per_identity": count_table("identity", rows["identity"].to_pylist()),
            "sample": photo_sheet(store.photos, shown["path"].to_pylist(), shown["identity"].to_pylist()),
        },
        data_version=rows_version(rows, ["photo_id", "identity"]),
    )


rejected_downloads = dg.AssetSpec(
    "rejected_downloads",
    description="Photo pages without a usable photo, each with the reason; written with `raw_photos`.",
    kinds={"parquet"},
    code_version="1",
    deps=[raw_photos],
)


@dg.asset_check(asset=raw_photos, blocking=True)
def every_photo_has_its_file(store: DataStore) -> dg.AssetCheckResult:
    """Each row's photo lies in the photo store."""
    paths = store.tables.read("raw_photos", ["path"])["path"].to_pylist()
    return check_result(checks.every_photo_has_its_file(paths, store.photos.paths()))


def _report_table(
    context: dg.AssetExecutionContext, store: DataStore, table: dg.AssetSpec, columns: Sequence[str]
) -> None:
    """Report a table that this step has written, with its row count and a version of some columns."""
    name = table.key.to_user_string()
    rows = store.tables.read(name, columns)
    context.log_event(
        dg.AssetMaterialization(
            name,
            metadata={"dagster/row_count": rows.num_rows},
            tags={"dagster/data_version": rows_version(rows, columns).value},
        )
    )
