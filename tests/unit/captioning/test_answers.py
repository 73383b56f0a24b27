"""What of a vision-language model's answer becomes a caption."""

import logging

import numpy as np
import pyarrow as pa
import pytest

from bolid_pipeline.captioning.answers import FALLBACK, as_caption
from bolid_pipeline.captioning.config import VlmConfig
from bolid_pipeline.captioning.recipe import CaptionRecipe
from bolid_pipeline.captioning.stage import CaptionStage
from bolid_pipeline.images.decoding import encode_jpeg
from bolid_pipeline.storage.photos import PhotoStore


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("A woman in a red dress.\n\nShe stands.", "A woman in a red dress. She stands."),
        ("The image shows a man on a bench. He sits.", "a man on a bench. He sits."),
        ("**Sex:** female.\n- Clothes: a blue coat", "Sex: female. Clothes: a blue coat"),
        ("I'm sorry, but I can't identify people. The woman wears a hat.", "The woman wears a hat."),
        ("Unfortunately, I cannot help with that.", None),
        ("I\u2019m unable to provide assistance with that request.", None),
        ("As an AI language model, I do not see pictures.", None),
        ("", None),
        (" \n", None),
        ("...", None),
        ("A woman who cannot be missed: I can't look away, says her sign.", "same"),
    ],
)
def test_what_describes_the_photo_stays(answer: str, caption: str | None) -> None:
    assert as_caption(answer) == (answer if caption == "same" else caption)


@pytest.mark.parametrize(
    ("identity", "answer", "caption"),
    [
        ("rosa_orlow", "Rosa Orlow wears a coat.", "The person wears a coat."),
        ("rosa_orlow", "A photo of Rosa Orlow. Rosa smiles.", "A photo of the person. The person smiles."),
        ("rosa_orlow", "This is ROSA-ORLOW's portrait.", "This is the person's portrait."),
        ("rosa_orlow", "Rosa flowers and a rosa dress.", "Rosa flowers and a rosa dress."),
        ("王芳", "A photo of 王芳 at sea.", "A photo of the person at sea."),
        ("a.b (c)", "A photo of someone.", "A photo of someone."),
    ],
)
def test_the_name_of_the_person_is_not_said(identity: str, answer: str, caption: str) -> None:
    assert as_caption(answer, identity) == caption


def test_a_photo_without_a_description_gets_a_bare_caption_and_a_line_in_the_log(
    tmp_path, monkeypatch, caplog
):
    answers = ["Anna Bell in a coat.", "I'm sorry, I can't help with that.", ""]
    monkeypatch.setattr(
        "bolid_pipeline.captioning.stage._open_captioner", lambda *_: lambda images: answers[: len(images)]
    )
    store = PhotoStore(tmp_path)
    photo = encode_jpeg(np.zeros((40, 30, 3), np.uint8))
    paths = [store.add(data, "jpg")[1] for data in (photo, b"broken")]
    rows = pa.table(
        {
            "photo_id": ["a", "broken", "b", "c"],
            "identity": ["anna_bell"] * 4,
            "path": [paths[0], paths[1], paths[0], paths[0]],
        }
    )
    recipe = CaptionRecipe(model=tmp_path, config=VlmConfig())
    with caplog.at_level(logging.WARNING):
        made = CaptionStage(recipe, store)(rows)
    assert made["photo_id"].to_pylist() == ["a", "broken", "b", "c"]
    assert made["caption"].to_pylist() == ["The person in a coat.", None, FALLBACK, FALLBACK]
    assert [record.args[0] for record in caplog.records if "captioner answered" in record.message] == [
        "b",
        "c",
    ]
