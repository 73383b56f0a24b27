"""Settings of the captioners."""

from dataclasses import dataclass

_PROMPT = (
    "Describe the person in this photo for a text-to-image model, in one paragraph of plain English and in this "
    "order: sex; position of the body, how much of it is seen and which way it faces; face, expression and hair; "
    "clothes from top to bottom with their colours; at the end a few words about the background. Do not guess the "
    "person's name, do not mention the photo's quality, do not begin with 'The image shows'."
)


@dataclass(frozen=True, kw_only=True)
class VlmConfig:
    """How a vision-language model is asked for a caption."""

    prompt: str = _PROMPT
    """The request that goes with each photo."""
    max_new_tokens: int = 160
    """Longest caption; longer than CLIP's 77 tokens on purpose."""
    max_side_px: int = 896
    """Photos are shown to the model with their longer side at most this long."""


@dataclass(frozen=True, kw_only=True)
class ClipCaptionConfig:
    """How a CLIP fills in the slots of a caption."""

    num_contexts: int = 8
    """Whole captions that each phrase is tried in, all encoded at the start; 24 find no more of bodyworld's phrases."""
    seed: int = 0
    """For drawing those captions."""
