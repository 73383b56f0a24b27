import numpy as np

from bodyworld.render.identity import sample_identity
from bodyworld.render.scene import sample_scene
from bodyworld.world.captions import SLOTS, caption, caption_slots, compose_caption


def test_every_phrase_comes_from_the_closed_vocabulary():
    rng = np.random.default_rng(0)
    for _ in range(200):
        identity = sample_identity(rng)
        scene = sample_scene(rng, sex=identity.sex)
        slots = caption_slots(identity, scene)
        assert all(phrase in SLOTS[slot] for slot, phrase in slots.items())
        assert set(SLOTS) - set(slots) <= {"bottom", "bottom_colour"}
        text = caption(identity, scene)
        assert text == text.lower()
        assert len(text.split()) < 50


def test_the_sentence():
    slots = {
        "camera": "a full-length photo",
        "height": "tall",
        "build": "slim",
        "sex": "woman",
        "hair": "long black hair",
        "facing": "facing left",
        "pose": "arms raised",
        "top_colour": "red",
        "top_pattern": "striped",
        "top": "t-shirt",
        "bottom_colour": "blue",
        "bottom": "trousers",
        "background": "on a beach",
    }
    assert compose_caption(slots) == (
        "a full-length photo of a tall slim woman with long black hair, facing left, arms raised, "
        "wearing a red striped t-shirt and blue trousers, on a beach"
    )


def test_dress_has_no_bottom_and_middle_sizes_go_unsaid():
    rng = np.random.default_rng(1)
    identity = sample_identity(rng)
    slots = caption_slots(identity, sample_scene(rng, top="dress", top_colour="orange", camera="full"))
    text = compose_caption(slots | {"height": "medium-height", "build": "average", "sex": "man"})
    assert "bottom" not in slots
    assert " and " not in text
    assert "of a man with" in text
    assert "wearing an orange" in text
