"""The decoder of the pictures that losses look at: the base model's, or a tiny one."""

from dataclasses import replace

import pytest
import torch
from tiny_models import save_tiny_autoencoder, save_tiny_clip
from tiny_training import make_training, random_data

from bolid_pipeline.errors import WeightsMismatch, WeightsMissing
from bolid_pipeline.training.config import FewStepConfig, Loss, Term
from bolid_pipeline.training.loss_networks import LossNetworkFiles
from bolid_pipeline.training.presets import tiny
from bolid_pipeline.training.randomness import StepRandomness

CONFIG = replace(tiny(), few_step=FewStepConfig(every_n_steps=1, l_clip=Term(weight=1.0)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("tiny") / "clip")


def test_a_tiny_autoencoder_decodes_in_place_of_the_base_models(tiny_stable_diffusion, clip, tmp_path):
    tiny_decoder = save_tiny_autoencoder(tmp_path / "taesd")
    losses: list[torch.Tensor] = []
    for decoder in (None, tiny_decoder):
        files = LossNetworkFiles(clip=clip, decoder=decoder)
        system, data = make_training(random_data(tiny_stable_diffusion), CONFIG, files)
        assert system.networks.decode(torch.zeros(1, 4, 12, 20)).shape == (1, 3, 48, 80)
        losses.append(system.few_step.terms(data.batch(0), StepRandomness(0, 0))[Loss.FEW_STEP_L_CLIP])
        losses[-1].backward()
        for projection in system.branches.unet.encoder_hid_proj.image_projection_layers:
            assert next(projection.parameters()).grad.any()
        assert not any(parameter.requires_grad for parameter in system.networks.parameters())
    assert losses[0] != losses[1]


def test_a_tiny_autoencoder_takes_the_latents_as_the_unet_knows_them(tiny_stable_diffusion, clip, tmp_path):
    files = LossNetworkFiles(clip=clip, decoder=save_tiny_autoencoder(tmp_path / "taesd"))
    system, _ = make_training(random_data(tiny_stable_diffusion), CONFIG, files)
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = system.networks.decoder.decode(latents).sample
    torch.testing.assert_close(system.networks.decode(latents), (whole / 2 + 0.5).clamp(0, 1))


def test_a_decoder_that_is_missing_or_of_other_latents_is_refused(tiny_stable_diffusion, clip, tmp_path):
    with pytest.raises(WeightsMissing, match="no model at"):
        make_training(
            random_data(tiny_stable_diffusion), CONFIG, LossNetworkFiles(clip=clip, decoder=tmp_path / "none")
        )
    of_flux = save_tiny_autoencoder(tmp_path / "taef1", latent_channels=16)
    with pytest.raises(WeightsMismatch, match="decodes latents of 16 channels; the base model's have 4"):
        make_training(
            random_data(tiny_stable_diffusion), CONFIG, LossNetworkFiles(clip=clip, decoder=of_flux)
        )
