import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.callbacks import IPAdapterScaleCutoffCallback
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM

from bolid_pipeline.errors import ConfigurationError, UnknownIdentity, WeightsMismatch, WeightsMissing
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank, PersonBody
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.invisible_mark import has_mark
from bolid_pipeline.models.loaders import save_branches
from bolid_pipeline.models.pipeline import BoLIDPipeline, BoLIDXLPipeline, load_pipeline
from bolid_pipeline.models.provenance import DIGITAL_SOURCE_TYPE, save_generated
from bolid_pipeline.models.reference_encoder import ReferenceEncoder
from bolid_pipeline.models.samplers import SAMPLERS, make_sampler
from bolid_pipeline.training.config import PriorConfig
from bolid_pipeline.training.prior import fit_body_prior

PEOPLE = ("anna", "bob")
C_BODY_DIM = 64


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base_model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("tiny_stable_diffusion" if request.param == "sd" else "tiny_sdxl")


@pytest.fixture(scope="module", params=[False, True], ids=["vector", "dense"])
def checkpoint(
    request: pytest.FixtureRequest, base_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A checkpoint folder as if trained: everything trainable moved at random; the dense one with all options."""
    torch.manual_seed(4)
    is_dense = request.param
    folder = tmp_path_factory.mktemp("checkpoint")
    unet = load_base_model(base_model).unet
    adapters.attach(
        unet,
        adapters.new_ref_state(unet, IMAGE_EMBED_DIM),
        adapters.new_body_state(unet, C_BODY_DIM, 4, is_dense=is_dense),
    )
    for parameter in adapters.trainable_parameters(unet):
        parameter.data += 0.3 * torch.randn_like(parameter)
    bank = BodyBank.of({name: PersonBody(torch.randn(C_BODY_DIM), 5) for name in PEOPLE})
    save_branches(folder, unet, bank)
    encoder = BodyEncoder(
        grid=8,
        width=32,
        num_layers=1,
        num_heads=2,
        c_body_dim=C_BODY_DIM,
        num_dense_tokens=4 if is_dense else None,
    )
    encoder.save_pretrained(folder / "body_encoder")
    if is_dense:
        ref_encoder = ReferenceEncoder(image_embed_dim=IMAGE_EMBED_DIM, num_heads=2)
        torch.nn.init.normal_(ref_encoder.to_change.weight, std=0.2)
        ref_encoder.save_pretrained(folder / "ref_encoder")
        config = PriorConfig(width=16, num_layers=1, num_heads=2, steps=1, batch_size=2)
        text_dim = unet.config.cross_attention_dim
        fit_body_prior(config, bank, PEOPLE, torch.randn(2, text_dim), seed=0).save_pretrained(
            folder / "body_prior"
        )
    return folder


@pytest.fixture(scope="module")
def pipe(checkpoint: Path, base_model: Path, tiny_clip_vision: Path) -> Any:
    pipe = load_pipeline(
        checkpoint,
        base_model,
        image_encoder=tiny_clip_vision / "image_encoder",
        feature_extractor=tiny_clip_vision / "feature_extractor",
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def stock(base_model: Path) -> Any:
    return _load_stock(base_model)


def _load_stock(folder: Path) -> Any:
    is_sdxl = (folder / "text_encoder_2").is_dir()
    options: dict[str, Any] = {"add_watermarker": False} if is_sdxl else {}
    stock_class = StableDiffusionXLPipeline if is_sdxl else StableDiffusionPipeline
    stock = stock_class.from_pretrained(folder, low_cpu_mem_usage=False, **options)
    stock.set_progress_bar_config(disable=True)
    return stock


def _draw(
    pipe: Callable[..., Any], prompt: Any = "a woman", seed: int = 0, steps: int = 2, **kwargs: Any
) -> np.ndarray:
    return pipe(
        prompt,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        **kwargs,
    ).images.numpy()


def _photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (50, 40, 3), dtype=np.uint8))


def test_the_class_follows_the_base_model(pipe: Any, base_model: Path) -> None:
    assert type(pipe) is (BoLIDXLPipeline if base_model.name == "sdxl" else BoLIDPipeline)


@pytest.mark.parametrize("guidance_scale", [1.0, 5.0])
@pytest.mark.parametrize("prompt", ["a woman", ["a woman", "a man"]])
def test_without_conditions_it_is_the_base_model_bit_for_bit(
    pipe: Any, stock: Any, guidance_scale: float, prompt: Any
) -> None:
    drawn = _draw(pipe, prompt, guidance_scale=guidance_scale)
    assert np.array_equal(drawn, _draw(stock, prompt, guidance_scale=guidance_scale))


def test_scales_of_zero_are_the_base_model_bit_for_bit(pipe: Any, stock: Any) -> None:
    drawn = _draw(pipe, identity="anna", ref_image=_photo(0), ref_scale=0.0, body_scale=0.0)
    assert np.array_equal(drawn, _draw(stock))


def test_every_subset_of_conditions_draws_another_picture(pipe: Any) -> None:
    subsets: list[dict[str, Any]] = [
        {},
        {"identity": "anna"},
        {"identity": "bob"},
        {"c_body": pipe.body_bank.between("anna", "bob", 0.5)},
        {"ref_image": _photo(0)},
        {"image_prompt": _photo(1)},
        {"ref_image": _photo(0), "image_prompt": _photo(1)},
        {"identity": "anna", "image_prompt": _photo(1)},
        {"identity": "anna", "ref_image": [_photo(0), _photo(2)]},
        {"identity": "anna", "ref_image": _photo(0), "image_prompt": _photo(1), "body_scale": 0.5},
    ]
    if pipe.body_prior is not None:
        subsets += [{"sample_body": True}, {"sample_body": True, "ref_image": _photo(0)}]
    pictures = [_draw(pipe, **subset) for subset in subsets]
    assert all(np.isfinite(picture).all() for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(subsets)


def test_the_order_of_reference_photos_changes_nothing(pipe: Any) -> None:
    photos = [_photo(seed) for seed in range(3)]
    np.testing.assert_allclose(
        _draw(pipe, ref_image=photos), _draw(pipe, ref_image=photos[::-1]), atol=1e-4, rtol=1e-4
    )


def test_one_identity_for_each_prompt(pipe: Any) -> None:
    prompts = ["a woman", "a man"]
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    together = _draw(pipe, prompts, identity=["anna", "bob"], latents=latents)
    for row, person in enumerate(PEOPLE):
        alone = _draw(pipe, prompts[row], identity=person, latents=latents[row : row + 1])
        np.testing.assert_allclose(together[row], alone[0], atol=1e-4)


def test_several_pictures_of_each_prompt(pipe: Any) -> None:
    drawn = _draw(
        pipe, ["a woman", "a man"], identity=["anna", "bob"], num_images_per_prompt=3, height=80, width=48
    )
    assert drawn.shape == (6, 4, 20, 12)


def test_a_generator_for_each_picture(pipe: Any) -> None:
    def draw(seeds: list[int]) -> np.ndarray:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return pipe(
            ["a woman"] * len(seeds),
            identity="anna",
            num_inference_steps=1,
            generator=generators,
            output_type="latent",
        ).images.numpy()

    np.testing.assert_allclose(draw([7, 8])[1], draw([8])[0], atol=1e-4)


def test_drawn_bodies_differ_from_picture_to_picture_and_follow_the_generator(pipe: Any) -> None:
    if pipe.body_prior is None:
        with pytest.raises(WeightsMissing, match="body_prior"):
            _draw(pipe, sample_body=True)
        return
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)).expand(2, -1, -1, -1)
    first, second = _draw(pipe, sample_body=True, num_images_per_prompt=2, latents=latents)
    assert not np.allclose(first, second, atol=1e-3)
    again = _draw(pipe, sample_body=True, num_images_per_prompt=2, latents=latents)
    assert np.array_equal(again[0], first)


def test_a_long_prompt_is_kept_whole(pipe: Any) -> None:
    long = "x" * 80
    drawn = {
        (end, negative): _draw(pipe, long + end, identity="anna", negative_prompt=negative).tobytes()
        for end in "ab"
        for negative in (None, "blurred")
    }
    assert len(set(drawn.values())) == 4


# diffusers 0.42 gives torch tensors to np.array in its own schedulers.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_few_steps_with_every_sampler(pipe: Any, sampler: str) -> None:
    original = pipe.scheduler
    try:
        pipe.scheduler = make_sampler(sampler, original.config)
        steps: list[int] = []

        def count(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            steps.append(step)
            return tensors

        drawn = _draw(pipe, identity="anna", steps=4, callback_on_step_end=count)
    finally:
        pipe.scheduler = original
    assert np.isfinite(drawn).all()
    assert steps == [0, 1, 2, 3]


def _scales_of_every_step(pipe: Any, steps: int, **kwargs: Any) -> list[dict[str, list[float]]]:
    """The scales of the attention layers at each step, as they were when the U-Net ran."""
    seen: list[dict[str, list[float]]] = []

    def record(*_: Any) -> None:
        processors = pipe.unet.attn_processors.items()
        seen.append({name: list(p.scale) for name, p in processors if hasattr(p, "scale")})

    hook = pipe.unet.register_forward_pre_hook(record)
    try:
        _draw(pipe, steps=steps, identity="anna", ref_image=_photo(0), **kwargs)
    finally:
        hook.remove()
    return seen


def test_a_scale_per_block_reaches_those_blocks_only(pipe: Any) -> None:
    (seen,) = _scales_of_every_step(pipe, 1, body_scale={"up": {"block_1": 0.7}, "mid": 0.3}, ref_scale=0.9)
    for name, scales in seen.items():
        body_scale = 0.7 if name.startswith("up_blocks.1") else 0.3 if name.startswith("mid") else 0.0
        assert scales == [0.9, body_scale], name
    assert {name.split("_")[0] for name in seen} == {"down", "mid", "up"}


def test_a_scale_per_share_of_the_steps_reaches_those_steps_only(pipe: Any) -> None:
    seen = _scales_of_every_step(
        pipe, 4, body_scale={0.25: 1.0, 0.75: {"up": 0.5}}, ref_scale={0.0: 0.2, 0.5: 0.0}
    )
    mid = next(name for name in seen[0] if name.startswith("mid"))
    up = next(name for name in seen[0] if name.startswith("up"))
    assert [scales[mid] for scales in seen] == [[0.2, 0.0], [0.2, 1.0], [0.0, 1.0], [0.0, 0.0]]
    assert [scales[up] for scales in seen] == [[0.2, 0.0], [0.2, 1.0], [0.0, 1.0], [0.0, 0.5]]


def test_a_scheduled_scale_leaves_the_callers_callback_alone(pipe: Any) -> None:
    steps: list[int] = []

    def stop_the_body(_pipe: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        return {"latents": tensors["latents"] * 0}

    drawn = _draw(pipe, identity="anna", body_scale={0.5: 1.0}, callback_on_step_end=stop_the_body)
    assert steps == [0, 1]
    assert not drawn.any()


@pytest.mark.parametrize("scale", [1.0, {0.0: 1.0}])
def test_the_stock_cutoff_callback_works(pipe: Any, scale: Any) -> None:
    cutoff = IPAdapterScaleCutoffCallback(cutoff_step_ratio=None, cutoff_step_index=0)  # pyright: ignore[reportArgumentType]
    drawn = _draw(pipe, identity="anna", body_scale=scale, callback_on_step_end=cutoff)
    expected = _draw(pipe, identity="anna", body_scale={0.0: 1.0, 0.5: 0.0})
    assert np.array_equal(drawn, expected)


def test_an_unknown_person_is_refused(pipe: Any) -> None:
    with pytest.raises(UnknownIdentity, match="did you mean anna"):
        _draw(pipe, identity="ana")


def test_a_bank_of_nobody_says_so(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "body_bank", pipe.body_bank.without("anna").without("bob"))
    with pytest.raises(UnknownIdentity, match="the body bank is empty"):
        _draw(pipe, identity="anna")
    monkeypatch.setattr(pipe, "body_bank", None)
    with pytest.raises(WeightsMissing, match="holds no body bank"):
        _draw(pipe, identity="anna")


def test_conditions_that_do_not_fit_are_refused(pipe: Any) -> None:
    with pytest.raises(ConfigurationError, match="2 bodies or identities for 1 prompts"):
        _draw(pipe, identity=["anna", "bob"])
    with pytest.raises(ConfigurationError, match="give one"):
        _draw(pipe, identity="anna", c_body=torch.zeros(C_BODY_DIM))
    with pytest.raises(ValueError, match="c_body has 63 numbers"):
        _draw(pipe, c_body=torch.zeros(63))
    with pytest.raises(ConfigurationError, match="names of blocks or shares"):
        _draw(pipe, identity="anna", body_scale={0.5: 1.0, "up": 1.0})


def test_a_picture_needs_an_image_encoder(pipe: Any) -> None:
    image_encoder = pipe.image_encoder
    pipe.register_modules(image_encoder=None)
    try:
        with pytest.raises(WeightsMissing, match="no CLIP image encoder"):
            _draw(pipe, ref_image=_photo(0))
    finally:
        pipe.register_modules(image_encoder=image_encoder)


def test_a_person_needs_a_checkpoint(base_model: Path, pipe: Any, stock: Any) -> None:
    plain = type(pipe).from_pretrained(base_model, low_cpu_mem_usage=False)
    plain.set_progress_bar_config(disable=True)
    assert np.array_equal(_draw(plain), _draw(stock))
    with pytest.raises(ConfigurationError, match="no BoLID checkpoint is loaded"):
        _draw(plain, identity="anna")


def test_a_folder_that_is_no_checkpoint_is_named(base_model: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="body_encoder"):
        load_pipeline(tmp_path, base_model)


def test_a_checkpoint_of_another_base_model_is_refused(
    checkpoint: Path, base_model: Path, tiny_stable_diffusion: Path, tiny_sdxl: Path
) -> None:
    other = tiny_sdxl if base_model == tiny_stable_diffusion else tiny_stable_diffusion
    with pytest.raises(WeightsMismatch, match="made for another base model"):
        load_pipeline(checkpoint, other)


def test_save_and_load_is_exact(pipe: Any, stock: Any, tmp_path: Path) -> None:
    conditions: dict[str, Any] = {"identity": "anna", "ref_image": [_photo(0), _photo(1)]}
    expected = _draw(pipe, **conditions)
    pipe.save_pretrained(tmp_path)
    assert np.array_equal(_draw(pipe, **conditions), expected)

    loaded = type(pipe).from_pretrained(tmp_path, low_cpu_mem_usage=False)
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(_draw(loaded, **conditions), expected)
    assert np.array_equal(_draw(loaded), _draw(stock))
    if pipe.body_prior is not None:
        assert np.array_equal(_draw(loaded, sample_body=True), _draw(pipe, sample_body=True))
    assert isinstance(loaded.body_encoder, BodyEncoder)
    assert np.array_equal(_draw(_load_stock(tmp_path)), _draw(stock))
    assert not list(tmp_path.rglob("*.bin"))


def test_pictures_carry_the_invisible_mark(pipe: Any) -> None:
    options = {"num_inference_steps": 1, "num_images_per_prompt": 2, "height": 128, "width": 128}
    marked = pipe("a woman", identity="anna", **options).images
    assert all(has_mark(image) for image in marked)
    (as_tuple, *_) = pipe("a woman", identity="anna", return_dict=False, **options)
    assert all(has_mark(image) for image in as_tuple)
    unmarked = pipe("a woman", identity="anna", output_type="np", **options).images
    assert not has_mark(Image.fromarray(np.rint(unmarked[0] * 255).astype(np.uint8)))


def test_a_saved_picture_says_that_it_is_generated(tmp_path: Path) -> None:
    save_generated(_photo(0), tmp_path / "new" / "picture.png", prompt="a wömän", identity="anna")
    with Image.open(tmp_path / "new" / "picture.png") as picture:
        assert picture.info["PromptSHA256"] == hashlib.sha256("a wömän".encode()).hexdigest()
        assert "wömän" not in str(picture.info)
        assert picture.info["Identity"] == "anna"
        assert picture.info["DigitalSourceType"] == DIGITAL_SOURCE_TYPE
        assert DIGITAL_SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
        assert picture.getexif()[0x0131] == "BoLID"
        assert np.array_equal(np.asarray(picture), np.asarray(_photo(0)))
    with pytest.raises(ConfigurationError, match=r"\.png"):
        save_generated(_photo(0), tmp_path / "picture.jpg", prompt="a woman")
