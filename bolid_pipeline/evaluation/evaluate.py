"""The evaluation of a checkpoint, from its folder to the report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bolid_pipeline.errors import NotEnoughData
from bolid_pipeline.evaluation.clip_scores import clip_t, identity_scores
from bolid_pipeline.evaluation.config import EvaluationConfig
from bolid_pipeline.evaluation.data import EvaluationData
from bolid_pipeline.evaluation.drawn_people import DrawnPicture, draw_pictures, picture_grid, who_is
from bolid_pipeline.evaluation.heldout import heldout_losses
from bolid_pipeline.evaluation.loss_curve import plot_losses, read_losses
from bolid_pipeline.evaluation.report import Figure, Report, read_report, write_report
from bolid_pipeline.images.decoding import Rgb
from bolid_pipeline.images.drawing import to_png
from bolid_pipeline.latents.cache import LatentTable
from bolid_pipeline.models.pipeline import AnyBoLIDPipeline, load_pipeline
from bolid_pipeline.models.provenance import provenance_text
from bolid_pipeline.pretrained.device import Device, find_device
from bolid_pipeline.pretrained.memory import free_memory
from bolid_pipeline.training import checkpoint as checkpoints


def evaluate(
    config: EvaluationConfig,
    data: EvaluationData,
    *,
    read_photo: Callable[[str], Rgb],
    report_dir: Path,
    device: Device = "auto",
) -> Report:
    """Draw and measure a checkpoint, and write the report: the page, metrics.json, samples.png and losses.png.

    Args:
        config: what to draw and measure.
        data: the checkpoint, and the data that it was trained on.
        read_photo: returns the real photo of a photo id, (H, W, 3) uint8.
        report_dir: folder to write into.
        device: where it draws and measures; half precision on a GPU.

    Raises:
        WeightsMissing: a part of the checkpoint or of the base model is missing.
        OutOfMemory: a single picture does not fit the memory of the device.
        NotEnoughData: nobody of the body bank has a photo in the latent table.
    """
    made_by = data.fingerprint(config)
    checkpoint, latents, captions = data.checkpoint, data.trained_on.latents, data.trained_on.captions
    models = data.latent_models
    pipe = load_pipeline(
        checkpoint,
        data.trained_on.base_model,
        device=device,
        image_encoder=models and models.image_encoder,
        feature_extractor=models and models.feature_extractor,
    )
    rows_of_person = _rows_of_people(pipe, latents, config.num_identities)
    drawn = _draw_people(pipe, rows_of_person, latents, captions, config)
    named = [sample for samples in drawn.values() for sample in samples if sample.identity is not None]
    heldout_ids = set(checkpoints.read_photo_ids(checkpoint / checkpoints.HELDOUT_PHOTOS_FILE))
    heldout_rows = [row for row, photo_id in enumerate(latents.photo_ids) if photo_id in heldout_ids]
    metrics = {
        **checkpoints.read_metrics(checkpoint),
        "num_heldout_photos": len(heldout_rows),
        **heldout_losses(pipe, latents, heldout_rows, captions, config),
        **identity_scores(pipe, named, latents, batch_size=config.batch_size),
    }
    del pipe
    free_memory()
    if data.clip is not None:
        metrics["clip_t"] = clip_t(named, data.clip, device=find_device(device), batch_size=config.batch_size)
    photos = {person: read_photo(latents.photo_ids[rows[0]]) for person, rows in rows_of_person.items()}
    samples_png = to_png(
        picture_grid([(photos[person], samples) for person, samples in drawn.items()]),
        provenance_text(prompt=" | ".join(config.prompts)),
    )
    losses_png = plot_losses(read_losses(checkpoint / checkpoints.LOSSES_FILE))
    write_report(
        report_dir,
        title=f"BoLID checkpoint {checkpoint.name}",
        metrics=metrics,
        figures=[
            Figure("samples", _grid_caption(config), samples_png),
            Figure("losses", "L_diff and KL of every training step.", losses_png),
        ],
        fingerprint=made_by,
    )
    return read_report(report_dir)


def _rows_of_people(
    pipe: AnyBoLIDPipeline, latents: LatentTable, num_identities: int
) -> dict[str, list[int]]:
    """Rows of the first people of the bank that the table holds."""
    known = pipe.body_bank.identities if pipe.body_bank is not None else ()
    rows_of = latents.rows_of_people()
    people = [person for person in known if person in rows_of][:num_identities]
    if not people:
        raise NotEnoughData("nobody of the checkpoint's body bank has a photo in the latent table")
    return {person: rows_of[person] for person in people}


def _draw_people(
    pipe: AnyBoLIDPipeline,
    rows_of_person: Mapping[str, Sequence[int]],
    latents: LatentTable,
    captions: Mapping[str, str],
    config: EvaluationConfig,
) -> dict[str, list[DrawnPicture]]:
    """Two samples for each person and prompt, without and with identity; equal requests are drawn once."""
    requests: dict[str, list[tuple[str, str | None]]] = {}
    for person, rows in rows_of_person.items():
        who = who_is(captions[latents.photo_ids[row]] for row in rows)
        prompts = [prompt.format(who=who) for prompt in config.prompts]
        requests[person] = [(prompt, identity) for prompt in prompts for identity in (None, person)]
    unique = list(dict.fromkeys(request for of_person in requests.values() for request in of_person))
    samples = dict(zip(unique, draw_pictures(pipe, unique, config), strict=True))
    return {person: [samples[request] for request in of_person] for person, of_person in requests.items()}


def _grid_caption(config: EvaluationConfig) -> str:
    prompts = "; ".join(prompt.format(who="...") for prompt in config.prompts)
    return (
        "One row a person of the body bank: a real photo, then for each prompt the picture from text alone, without "
        f"identity and with (same noise, no reference photo). Prompts: {prompts}."
    )
