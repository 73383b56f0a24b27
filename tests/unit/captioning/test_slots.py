import json

import pytest

from bolid_pipeline.captioning.clip_attributes import captions_by_phrase
from bolid_pipeline.captioning.config import ClipCaptionConfig
from bolid_pipeline.captioning.slots import read_form
from bolid_pipeline.errors import ConfigurationError

FORM = {
    "slots": {
        "camera": ["a full-length photo", "a portrait"],
        "build": ["slim", "average"],
        "sex": ["woman", "man"],
        "top": ["orange dress", "red shirt"],
        "bottom": ["skirt", "jeans"],
    },
    "unsaid": ["average"],
    "caption": [
        {"text": "{camera} of a(n) {build} {sex} in a(n) {top}"},
        {
            "text": " and a(n) {bottom}",
            "when": {"bottom": ["skirt"]},
            "unless": {"top": ["orange dress"], "camera": ["a portrait"]},
        },
        {
            "text": " and {bottom}",
            "unless": {"top": ["orange dress"], "camera": ["a portrait"], "bottom": ["skirt"]},
        },
        {"text": ", outside"},
    ],
}


@pytest.fixture
def form(tmp_path):
    return read_form(written(tmp_path, FORM))


def written(folder, content):
    path = folder / "slots.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("choice", "caption"),
    [
        (
            ("a full-length photo", "slim", "woman", "red shirt", "skirt"),
            "a full-length photo of a slim woman in a red shirt and a skirt, outside",
        ),
        (
            ("a full-length photo", "average", "man", "red shirt", "jeans"),
            "a full-length photo of a man in a red shirt and jeans, outside",
        ),
        (
            ("a full-length photo", "slim", "man", "orange dress", "jeans"),
            "a full-length photo of a slim man in an orange dress, outside",
        ),
        (
            ("a portrait", "slim", "woman", "red shirt", "jeans"),
            "a portrait of a slim woman in a red shirt, outside",
        ),
    ],
)
def test_a_caption_says_what_belongs_into_it(form, choice, caption):
    assert form.compose(dict(zip(FORM["slots"], choice, strict=True))) == caption


def test_phrases_of_a_slot_are_tried_in_the_same_captions(form):
    captions = captions_by_phrase(form, ClipCaptionConfig(num_contexts=10))
    woman, man = captions["sex"]
    assert [text.replace("woman", "man") for text in woman] == man
    assert len(woman) == 10
    assert len(set(woman)) > 3
    assert captions == captions_by_phrase(form, ClipCaptionConfig(num_contexts=10))


def test_captions_that_leave_a_slot_unsaid_do_not_count_for_it(form):
    skirts, jeans = captions_by_phrase(form, ClipCaptionConfig(num_contexts=30))["bottom"]
    assert len(skirts) == len(jeans) < 30
    assert all("skirt" in text for text in skirts)
    assert all("jeans" in text for text in jeans)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"slots": {}, "caption": [{"text": "{camera}"}]},
        {"slots": {"camera": []}, "caption": []},
        {"slots": {"camera": ["a"]}, "caption": [{"text": "x", "when": {"pose": ["sitting"]}}]},
        [],
    ],
    ids=["empty", "unknown slot", "slot without phrases", "unknown condition", "a list"],
)
def test_a_broken_form_is_refused_by_name(tmp_path, content):
    with pytest.raises(ConfigurationError, match=r"slots\.json is no caption form"):
        read_form(written(tmp_path, content))
    with pytest.raises(ConfigurationError, match="no caption form at"):
        read_form(tmp_path / "gone.json")
