"""Bringing the latents up to date: whole rows where the photo's crop or a model changed, else body latents only."""

from collections.abc import Callable
from typing import Unpack

import pyarrow as pa
import pyarrow.compute as pc

from bolid_pipeline.latents.cache import open_latents, prepare_table
from bolid_pipeline.latents.layout import TABLE
from bolid_pipeline.latents.recipe import LatentRecipe
from bolid_pipeline.stages.refresh import Batches, RefreshReport, Stage, refresh_table
from bolid_pipeline.storage.photos import PhotoStore
from bolid_pipeline.storage.tables import TableStore


def refresh_latents(
    tables: TableStore,
    photos: pa.Table,
    recipe: LatentRecipe,
    *,
    store: PhotoStore,
    device: Callable[[], str],
    **batches: Unpack[Batches],
) -> tuple[RefreshReport, RefreshReport]:
    """Make the missing and outdated rows of `latents`, then weight anew the rows of another sigma or alpha.

    Args:
        tables: where the table is.
        photos: what `photos_with_pose` makes.
        recipe: how latents are made.
        store: the photos' bytes.
        device: asked only if there is something to compute.
        batches: see `refresh_table`.

    Returns:
        What was done to whole rows, and what to the body latents of rows that needed nothing else.
    """

    def make_stage() -> Stage:
        from bolid_pipeline.latents.stage import LatentStage

        return LatentStage(recipe, store, device())

    def make_body_stage() -> Stage:
        from bolid_pipeline.latents.stage import BodyLatentStage

        return BodyLatentStage(recipe, store, open_latents(tables, recipe.models), device())

    prepare_table(tables, recipe.layout)
    plain, body = recipe.fingerprints.plain, recipe.fingerprints.body
    rows = refresh_table(tables, TABLE, photos, make_stage, fingerprint=plain, **batches)
    known = tables.read(TABLE, ["photo_id"])["photo_id"].combine_chunks()
    stored = photos.filter(pc.field("photo_id").isin(known))
    body_latents = refresh_table(
        tables,
        TABLE,
        stored,
        make_body_stage,
        fingerprint=body,
        fingerprint_column="body_fingerprint",
        **batches,
    )
    return rows, body_latents
