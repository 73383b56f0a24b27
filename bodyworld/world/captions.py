"""Captions in a closed vocabulary, one phrase per slot, so that a captioner can score each slot by itself."""

from bodyworld.render.identity import HAIR_COLOURS, HAIR_STYLES, BodyIdentity
from bodyworld.render.scene import BOTTOMS, COLOURS, PATTERNS, POSES, TOPS, Scene

CAMERA_PHRASES = {
    "full": "a full-length photo",
    "knee": "a knee-length photo",
    "half": "a half-length photo",
    "portrait": "a close-up portrait",
}
FACING_PHRASES = {
    "front": "facing the camera",
    "left": "facing left",
    "right": "facing right",
    "away": "seen from behind",
}
BACKGROUND_PHRASES = {
    "studio": "in a studio",
    "beach": "on a beach",
    "forest": "in a forest",
    "city": "in a city street",
    "brick wall": "in front of a brick wall",
    "living room": "in a living room",
    "night": "on a stage at night",
    "snow": "in the snow",
}
HAIR_PHRASES = {
    "bald": "no hair",
    "short": "short {} hair",
    "bob": "a {} bob",
    "long": "long {} hair",
    "afro": "a {} afro",
    "bun": "{} hair in a bun",
    "ponytail": "a {} ponytail",
}
HEIGHTS = ("short", "medium-height", "tall")
BUILDS = ("slim", "average", "heavy")

SLOTS: dict[str, tuple[str, ...]] = {
    "camera": tuple(CAMERA_PHRASES.values()),
    "height": HEIGHTS,
    "build": BUILDS,
    "sex": ("woman", "man"),
    "hair": (
        HAIR_PHRASES["bald"],
        *(
            HAIR_PHRASES[style].format(colour)
            for style in HAIR_STYLES
            if style != "bald"
            for colour in HAIR_COLOURS
        ),
    ),
    "facing": tuple(FACING_PHRASES.values()),
    "pose": POSES,
    "top_colour": tuple(COLOURS),
    "top_pattern": PATTERNS,
    "top": TOPS,
    "bottom_colour": tuple(COLOURS),
    "bottom": BOTTOMS,
    "background": tuple(BACKGROUND_PHRASES.values()),
}


def caption_slots(identity: BodyIdentity, scene: Scene) -> dict[str, str]:
    """The phrase of each slot. With a dress, or a frame that ends above the hips, the `bottom` slots are missing."""
    slots = {
        "camera": CAMERA_PHRASES[scene.camera],
        "height": HEIGHTS[(identity.height_m > 1.66) + (identity.height_m > 1.80)],
        "build": BUILDS[(identity.build > 0.33) + (identity.build > 0.66)],
        "sex": identity.sex,
        "hair": HAIR_PHRASES[identity.hair_style].format(identity.hair_colour),
        "facing": FACING_PHRASES[scene.facing],
        "pose": scene.pose,
        "top_colour": scene.top_colour,
        "top_pattern": scene.top_pattern,
        "top": scene.top,
        "background": BACKGROUND_PHRASES[scene.background],
    }
    if scene.top != "dress" and scene.camera in ("full", "knee"):
        slots |= {"bottom_colour": scene.bottom_colour, "bottom": scene.bottom}
    return slots


def compose_caption(slots: dict[str, str]) -> str:
    """The slots as one sentence; `bottom` may be missing, and what is ordinary (`plain`, `average`) is left out.

    Example: "a full-length photo of a tall slim woman with long black hair, facing left, arms raised, wearing a red
    striped t-shirt and blue trousers, on a beach".
    """
    size = " ".join(
        word for word in (slots["height"], slots["build"]) if word not in ("medium-height", "average")
    )
    person = " ".join(word for word in (size, slots["sex"]) if word)
    pattern = "" if slots["top_pattern"] == "plain" else slots["top_pattern"] + " "
    top = f"{slots['top_colour']} {pattern}{slots['top']}"
    clothes = f"wearing {_article(top)} {top}"
    if slots.get("bottom") and slots["top"] != "dress":
        bottom = f"{slots['bottom_colour']} {slots['bottom']}"
        clothes += f" and {_article(bottom) + ' ' if slots['bottom'] == 'skirt' else ''}{bottom}"
    return (
        f"{slots['camera']} of {_article(person)} {person} with {slots['hair']}, {slots['facing']}, {slots['pose']}, "
        f"{clothes}, {slots['background']}"
    )


def caption(identity: BodyIdentity, scene: Scene) -> str:
    """The true caption of a photo."""
    return compose_caption(caption_slots(identity, scene))


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"
