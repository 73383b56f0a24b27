"""Settings of the captioners."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt

from bolid_pipeline.settings import settings

_PROMPT = (
    "Describe the person in this photo for a text-to-image model, in one paragraph of plain English and in this "
    "order: sex; position of the body, how much of it is seen and which way it faces; face, expression and hair; "
    "clothes from top to bottom with their colours; at the end a few words about the background. Do not guess the "
    "person's name, do not mention the photo's quality, do not begin with 'The image shows'."
)


@settings
class VlmConfig:
    """Settings of captions by a vision-language model."""

    kind: Literal["vlm"] = "vlm"
    """Names this captioner in a settings file."""
    prompt: str = _PROMPT
    """The request that goes with each photo."""
    max_new_tokens: PositiveInt = 160
    """Longest caption in tokens; longer than CLIP's 77 on purpose."""
    max_side_px: PositiveInt = 896
    """The model sees photos with their longer side at most this long."""


@settings
class ClipCaptionConfig:
    """Settings of captions by a CLIP, which fills in the slots of a form."""

    kind: Literal["clip"] = "clip"
    """Names this captioner in a settings file."""
    num_contexts: PositiveInt = 8
    """Whole captions that each phrase is tried in, all encoded at the start; 24 find no more of bodyworld's phrases."""
    seed: NonNegativeInt = 0
    """Seed of the draw of those captions."""
