"""How the small CLIP and Stable Diffusion are trained: pictures, words, and a loop that can be interrupted."""

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from bodyworld.pretrain import thumbnails as thumbnails_module
from bodyworld.pretrain.autoencoder import reconstruction_losses, to_tensor, weighted
from bodyworld.pretrain.base_model import new_scheduler, new_unet
from bodyworld.pretrain.clip_pictures import slot_labels
from bodyworld.pretrain.clip_quality import retrieval_top1, slot_captions
from bodyworld.pretrain.prompts import mirrored, spoken_caption
from bodyworld.pretrain.thumbnails import BUCKETS, open_thumbnails, render_shard
from bodyworld.pretrain.timed_training import TimedTraining
from bodyworld.pretrain.tokenizer import save_tokenizer, train_tokenizer
from bodyworld.world.captions import SLOTS, compose_caption
from bolid_pipeline.errors import NotEnoughData

SLOTS_OF_A_PHOTO = {slot: phrases[0] for slot, phrases in SLOTS.items()} | {"facing": "facing left"}


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thumbnails")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thumbnails_module, "IDENTITIES_PER_SHARD", 12)
        render_shard(0, folder, seed=7)
        first = (folder / "shard_00000.npz").stat().st_mtime_ns
        render_shard(0, folder, seed=7)
    assert (folder / "shard_00000.npz").stat().st_mtime_ns == first
    return open_thumbnails(folder)


def test_thumbnails_keep_pictures_keypoints_and_phrases_together(thumbnails):
    assert sum(len(part) for part in thumbnails.values()) == 24
    for (height, width), part in thumbnails.items():
        assert part.pixels_NHW3.shape[1:] == (height, width, 3)
        assert part.pixels_NHW3.dtype == np.uint8
        assert len(part.slots) == len(part.identities_ND) == len(part.keypoints_NK3) == len(part)
        seen = part.keypoints_NK3[part.keypoints_NK3[..., 2] > 0.5]
        assert seen[:, :2].min() >= 0
        assert seen[:, :2].max() <= 1


def test_held_out_pictures_are_the_last(thumbnails):
    part = thumbnails[BUCKETS[0]]
    training, held_out = part.split(2)
    assert len(training) == len(part) - 2
    assert np.array_equal(held_out.pixels_NHW3, part.pixels_NHW3[-2:])
    assert held_out.slots == part.slots[-2:]


def test_no_thumbnails_is_an_error(tmp_path):
    with pytest.raises(NotEnoughData, match="thumbnails"):
        open_thumbnails(tmp_path)


def test_a_mirror_swaps_left_and_right():
    assert mirrored(SLOTS_OF_A_PHOTO)["facing"] == "facing right"
    assert mirrored(mirrored(SLOTS_OF_A_PHOTO)) == SLOTS_OF_A_PHOTO


def test_spoken_captions_are_whole_or_a_part_of_the_truth():
    rng = np.random.default_rng(0)
    whole = compose_caption(SLOTS_OF_A_PHOTO)
    spoken = [spoken_caption(SLOTS_OF_A_PHOTO, rng) for _ in range(300)]
    assert 0.5 < np.mean([text == whole for text in spoken]) < 0.75
    assert all(set(text.split(", ")[1:]) <= set(whole.split(", ")) for text in spoken)


def test_slot_captions_differ_in_their_phrase_only():
    captions = slot_captions([SLOTS_OF_A_PHOTO], np.random.default_rng(0))
    assert len(captions) == sum(len(phrases) for phrases in SLOTS.values())
    assert all(phrase in caption for phrase, caption in zip(SLOTS["camera"], captions, strict=False))


def test_unsaid_slots_have_no_label():
    said = {slot: phrase for slot, phrase in SLOTS_OF_A_PHOTO.items() if slot != "bottom"}
    labels = slot_labels([said])
    assert labels.shape == (1, len(SLOTS))
    assert labels[0, list(SLOTS).index("bottom")] == -1


def test_retrieval_counts_own_captions():
    texts = torch.eye(4)
    images = torch.eye(4)[[0, 1, 3, 3]]
    assert retrieval_top1(images, texts, 4)["image_to_text_top1"] == 0.75


def test_words_of_the_captions_are_one_token_each(tmp_path):
    captions = [compose_caption(SLOTS_OF_A_PHOTO)] * 3
    tokenizer = train_tokenizer(captions)
    assert "woman</w>" in tokenizer.tokenize("a woman")
    assert tokenizer.decode(tokenizer("Zoë!").input_ids, skip_special_tokens=True).replace(" ", "") == "zoë!"
    save_tokenizer(tokenizer, tmp_path)
    assert {"vocab.json", "merges.txt", "tokenizer.json"} <= {path.name for path in tmp_path.iterdir()}


def test_weighted_pictures_stay_bright_at_visible_keypoints_only():
    picture = np.full((64, 64, 3), 200, np.uint8)
    keypoints = np.zeros((17, 3), np.float32)
    assert np.array_equal(weighted(picture, keypoints), picture)
    keypoints[0] = 0.5, 0.25, 1.0
    dark = weighted(picture, keypoints)
    assert dark[16, 32, 0] == 200
    assert dark[0, 0, 0] == 20


def test_reconstruction_losses_vanish_on_the_truth_only():
    images = to_tensor(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8))
    assert images.min() >= -1
    assert images.max() <= 1
    assert sum(loss.item() for loss in reconstruction_losses(images, images).values()) == 0
    assert all(loss.item() > 0 for loss in reconstruction_losses(images, -images).values())


def test_the_last_step_of_the_schedule_holds_no_signal():
    assert new_scheduler().alphas_cumprod[-1] == pytest.approx(0, abs=1e-6)


def test_training_goes_on_where_it_stopped_and_ends_on_the_average(tmp_path):
    torch.manual_seed(0)
    model, steps = nn.Linear(3, 1), []

    def losses(rng):
        inputs = torch.from_numpy(rng.standard_normal((8, 3)).astype(np.float32))
        return {"square": (model(inputs) - inputs.sum(1, keepdim=True)).pow(2).mean()}

    first = TimedTraining(run_dir=tmp_path, minutes=0.004, learning_rate=0.05).run(
        model, losses, steps.append, 0
    )
    again = TimedTraining(run_dir=tmp_path, minutes=0.012, learning_rate=0.05).run(
        model, losses, steps.append, 0
    )
    assert 0 < first < again
    assert steps == [first, again]
    average = torch.load(tmp_path / "training.pt", weights_only=True)["average"]["shadow_params"]
    torch.testing.assert_close(model.weight.detach(), average[0])


def test_learning_rate_warms_up_and_falls(tmp_path):
    training = TimedTraining(run_dir=tmp_path, minutes=1.0, learning_rate=1.0)
    rates = [training.learning_rate_at(progress) for progress in (0.0, 0.03, 0.5, 1.0)]
    assert rates == pytest.approx([0.01, 1.0, 0.52, 0.02], abs=0.03)


@torch.no_grad()
def test_a_unet_goes_on_from_one_that_attends_at_fewer_levels(tmp_path):
    config = dict(new_unet(text_width=32).config)
    config["down_block_types"] = ("DownBlock2D", *config["down_block_types"][1:])
    config["up_block_types"] = (*config["up_block_types"][:-1], "UpBlock2D")
    fewer = UNet2DConditionModel.from_config(config).eval()
    fewer.save_pretrained(tmp_path)
    more = new_unet(text_width=32, start_from=tmp_path).eval()
    assert sum(p.numel() for p in more.parameters()) > sum(p.numel() for p in fewer.parameters())
    inputs = (torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 32))
    torch.testing.assert_close(more(*inputs).sample, fewer(*inputs).sample)
