"""The body prior: a text -> a body that fits it, so that a picture of nobody in particular has a body too.

unCLIP's prior (arXiv 2204.06125, section 2.2), small: diffusers' `PriorTransformer` denoises c_body and is told the
text by one vector. It predicts the clean c_body; noise and steps are DDPM's with the cosine schedule.

Shape suffixes: B bodies, D c_body, L text positions, F text features, M captions.
"""

import torch
from diffusers import DDPMScheduler, PriorTransformer
from diffusers.utils.torch_utils import randn_tensor

_WINDOW = 77  # positions of CLIP's text encoder


def text_vector(hidden_BLF: torch.Tensor) -> torch.Tensor:
    """(B, F) float32: the mean state of the first window, in which a caption says what a person looks like."""
    return hidden_BLF[:, :_WINDOW].float().mean(1)


@torch.no_grad()
def sample_bodies(
    prior: PriorTransformer,
    text_BF: torch.Tensor,
    *,
    generator: torch.Generator | list[torch.Generator] | None = None,
    num_steps: int = 25,
) -> torch.Tensor:
    """Draw a body for each text, another one each time.

    Args:
        prior: from `training.prior`.
        text_BF: `text_vector` of each text.
        generator: of the noise; one for all or one each.
        num_steps: denoising steps.

    Returns:
        (B, D) of the prior's dtype, on its device.
    """
    text_BF = text_BF.to(prior.device, prior.dtype)
    schedule = prior_noise_schedule()
    schedule.set_timesteps(num_steps, device=prior.device)
    shape = (len(text_BF), prior.config.embedding_dim)
    bodies_BD = randn_tensor(shape, generator=generator, device=prior.device, dtype=prior.dtype)
    for timestep in schedule.timesteps:
        predicted_BD = prior(bodies_BD, timestep, proj_embedding=text_BF).predicted_image_embedding
        bodies_BD = schedule.step(predicted_BD, timestep, bodies_BD, generator=generator).prev_sample
    return prior.post_process_latents(bodies_BD)


def prior_noise_schedule() -> DDPMScheduler:
    """DDPM with the cosine schedule, for a network that predicts the clean body."""
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="trailing",
    )
