"""README.md of a checkpoint: what it is, what made it, what it may not be used for."""

from collections.abc import Mapping, Sequence
from typing import Any

from bolid_pipeline.names import as_markdown
from bolid_pipeline.training.config import TrainingConfig

_CARD = """# BoLID checkpoint

Two IP-Adapter branches (reference photo, body), a body encoder and a body bank for the frozen base model
{base_model}. {start} Trained on {num_photos} cached latents of {num_people} people, for {steps} steps of
{batch_size} in {seconds:.0f} s; L_diff over the last tenth of the steps: {l_diff_last:.4f} (first tenth:
{l_diff_first:.4f}).

## Use

```python
from bolid_pipeline.models.pipeline import load_pipeline

pipe = load_pipeline("this folder", base_model={base_model_text})
pipe("a full-length photo of a person", identity={example}).images[0]
```

Stock diffusers loads both branches too:
`load_ip_adapter(folder, subfolder="", weight_name=["ref_adapter.safetensors", "body_adapter.safetensors"],
image_encoder_folder=None)`.

## Data

The people of the body bank are those of the table `latents` this run was trained on: {people}. Where the source is
the demo's, they are drawn by a program (bodyworld) and no such person exists. Where it is a public gallery, they are
real people who did not consent to this model.

## Limits

A share of {heldout_fraction:.0%} of every person's photos was held out. The body vector says nothing about poses or
clothes on purpose, and what it says about proportions is only as good as the photos and the number of steps.

## Responsible use and law

Body and face data of real people are personal data (GDPR, Article 4; biometric where they serve identification,
Article 9), and pictures of a real person need that person's consent. Do not make sexual, deceptive or defamatory
pictures of anybody. Every picture that BoLID writes is marked as generated (IPTC trainedAlgorithmicMedia), as Article
50 of the EU AI Act asks. `bolid forget IDENTITY` removes a person from the data set and the body bank; the trained
branches need to be trained again to forget them.
"""


def model_card(
    config: TrainingConfig,
    *,
    base_model: str,
    start_from: str | None,
    identities: Sequence[str],
    metrics: Mapping[str, Any],
) -> str:
    """The Markdown text; `start_from` is the name of the start weights, `metrics` as `fit` writes them."""
    people = sorted(set(identities))
    listed = ", ".join(map(as_markdown, people[:20])) + (
        f" and {len(people) - 20} more" if len(people) > 20 else ""
    )
    # A string's repr has no line break, so that in the code block it cannot end the block.
    return _CARD.format(
        base_model=as_markdown(base_model),
        base_model_text=repr(base_model),
        start="Training began with new branches."
        if start_from is None
        else f"Training began with the weights of {as_markdown(start_from)} (training_config.json has their sha256).",
        num_photos=len(identities),
        num_people=len(people),
        people=listed,
        example=repr(people[0]),
        steps=config.steps,
        batch_size=config.batch_size,
        heldout_fraction=config.heldout_fraction,
        **{name: metrics[name] for name in ("seconds", "l_diff_first", "l_diff_last")},
    )
