"""From the gallery site to photos on disk."""

import dagster as dg

from assets.metadata import count_table, counts_as_table, photo_sheet, spread
from bolid_pipeline.scraping.crawler import crawl_catalogue, crawl_photos
from resources.deployments import Deployment
from resources.photo_source import PhotoSourceResource
from resources.table_store import DataStore


@dg.asset(kinds={"python", "parquet"}, code_version="1")
def identity_catalogue(
    store: DataStore, photo_source: PhotoSourceResource, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult:
    """The people whose galleries are large enough, as the site lists them today."""
    with photo_source.open(deployment.crawl) as source:
        report = crawl_catalogue(source, store.tables)
    rows = store.tables.read("identity_catalogue")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.num_rows,
            **report.costs,
            "statuses": count_table("status", rows["status"].to_pylist()),
            "failures": counts_as_table("reason", report.failures),
        }
    )


@dg.asset(
    kinds={"python", "parquet"},
    code_version="1",
    deps=[identity_catalogue],
)
def raw_photos(
    store: DataStore, photo_source: PhotoSourceResource, deployment: dg.ResourceParam[Deployment]
) -> dg.MaterializeResult:
    """Every photo of the catalogued people, byte for byte as received; none is fetched twice."""
    with photo_source.open(deployment.crawl) as source:
        report = crawl_photos(source, store.tables, store.photos)
    rows = store.tables.read("raw_photos")
    shown = spread(rows, 24)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows.num_rows,
            "num_computed": report.photos_new,
            "num_up_to_date": report.photos_known,
            "num_shared": report.photos_shared,
            **report.costs,
            "rejected_now": counts_as_table("reason", report.rejected),
            "refused": count_table("reason", store.tables.read("rejected_downloads")["reason"].to_pylist()),
            "photos_per_identity": count_table("identity", rows["identity"].to_pylist()),
            "sample": photo_sheet(store.photos, shown["path"].to_pylist(), shown["identity"].to_pylist()),
        }
    )


@dg.asset_check(asset=raw_photos, blocking=True)
def every_photo_has_its_file(store: DataStore) -> dg.AssetCheckResult:
    """Each row's photo lies in the photo store."""
    paths = store.tables.read("raw_photos", ["path"])["path"].to_pylist()
    missing = sorted(set(paths) - store.photos.paths())
    return dg.AssetCheckResult(
        passed=not missing, metadata={"num_photos": len(paths), "missing": missing[:20]}
    )
