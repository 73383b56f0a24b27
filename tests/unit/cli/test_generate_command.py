"""`bolid generate` on a tiny random base model: files, their names and marks, and its errors in one line."""

import shutil
from pathlib import Path

import numpy as np
import picture_files
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_models import IMAGE_EMBED_DIM, save_tiny_stable_diffusion

from bolid_pipeline.cli import main
from bolid_pipeline.images.decoding import decode_rgb
from bolid_pipeline.models import adapters
from bolid_pipeline.models.base import load_base_model
from bolid_pipeline.models.body_bank import BodyBank
from bolid_pipeline.models.body_encoder import BodyEncoder
from bolid_pipeline.models.invisible_mark import has_mark
from bolid_pipeline.models.loaders import save_branches
from bolid_pipeline.models.pipelines.bolid_sd import BoLIDPipeline
from resources.model_hub import EmbeddedModels


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    unet = load_base_model(_base_model(tmp_path_factory)).unet
    adapters.attach(unet, adapters.new_ref_state(unet, IMAGE_EMBED_DIM), adapters.new_body_state(unet, 12))
    bank = BodyBank.of({name: (torch.randn(12), 3) for name in ("anna-smith", "bob-stone")})
    save_branches(folder, unet, bank)
    BodyEncoder(grid=8, width=32, num_layers=1, num_heads=2, c_body_dim=12).save_pretrained(
        folder / "body_encoder"
    )
    (folder / "training_config.json").write_text("{}")
    return folder


def _base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "generate_base_model"
    return folder if folder.is_dir() else save_tiny_stable_diffusion(folder)


@pytest.fixture
def generate(checkpoint: Path, tmp_path: Path, tmp_path_factory, monkeypatch: pytest.MonkeyPatch):
    """Runs `bolid generate ARGUMENTS` in tmp_path with the tiny base model in place of the embedded one."""
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "base_model").symlink_to(_base_model(tmp_path_factory))
    hub = EmbeddedModels(weights_dir=str(weights))
    monkeypatch.setattr("bolid_pipeline.cli.pictures.model_hub_of", lambda _: hub)

    def run(*arguments: str, folder: Path = checkpoint):
        options = ("--checkpoint", str(folder), "--out", str(tmp_path / "out"), "--steps", "1")
        return CliRunner().invoke(main, ["generate", *options, *arguments])

    return run


def _pictures(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_pictures_of_several_prompts_and_seeds(generate, tmp_path: Path) -> None:
    done = generate("--prompt", "a woman", "--prompt", "a man", "--count", "2", "--seed", "7")
    assert done.exit_code == 0, done.output
    assert _pictures(tmp_path) == ["a_man-7.png", "a_man-8.png", "a_woman-7.png", "a_woman-8.png"]
    for name in _pictures(tmp_path):
        assert str(tmp_path / "out" / name) in done.output
        with Image.open(tmp_path / "out" / name) as picture:
            assert has_mark(picture)
            assert picture.info["Software"] == "BoLID"
            assert "Identity" not in picture.info


@pytest.mark.parametrize(
    ("arguments", "identity"),
    [
        (("--prompt", "a woman", "--identity", "anna-smith"), "anna-smith"),
        (("--prompt", "Anna Smith on a beach"), "anna-smith"),
        (("--prompt", "a person", "--between", "anna-smith", "bob-stone", "0.5"), "anna-smith+bob-stone"),
    ],
)
def test_the_picture_says_whose_body_it_has(generate, tmp_path: Path, arguments, identity: str) -> None:
    done = generate(*arguments)
    assert done.exit_code == 0, done.output
    (name,) = _pictures(tmp_path)
    with Image.open(tmp_path / "out" / name) as picture:
        assert picture.info["Identity"] == identity


def test_photos_few_steps_and_scales(generate, tmp_path: Path) -> None:
    Image.new("RGB", (40, 60), "teal").save(tmp_path / "photo.jpg")
    photo = str(tmp_path / "photo.jpg")
    done = generate(
        *("--prompt", "a woman", "--ref", photo, "--ref", photo, "--image-prompt", photo),
        *("--sampler", "ddim", "--steps", "2", "--ref-scale", '{"0.5": {"up": 1.0}}', "--body-scale", "0.5"),
    )
    assert done.exit_code == 0, done.output
    assert _pictures(tmp_path) == ["a_woman-0.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--identity", "ana-smith"), "did you mean anna-smith"),
        (("--identity", "###"), "it holds anna-smith, bob-stone"),
        (("--sample-body",), "holds no body_prior/"),
        (("--identity", "bob-stone", "--sample-body"), "give one"),
        (("--few-steps",), "the embedded base model has no few-step LoRA: leave out --few-steps"),
        (("--sampler", "magic"), "no sampler 'magic'; there are ddim"),
        (("--body-scale", "strong"), "'strong' is no scale"),
        (("--body-scale", "[" * 100_000), "is no scale"),
        (("--body-scale", '{"uo": 1}'), "body_scale names a block 'uo'; there are down, mid, up"),
        (("--body-scale", '{"mid": "x"}'), "--body-scale takes finite numbers, not 'x'"),
        (("--body-scale", '{"up": {"block_9": 1}}'), "body_scale names a block 'block_9' in 'up'"),
        (("--ref-scale", '{"0.3": {"up": {"block_9": 1}}}'), "ref_scale names a block 'block_9' in 'up'"),
        (("--ref-scale", "nan"), "--ref-scale 'nan' is no scale"),
        (("--ref-scale", "Infinity"), "--ref-scale takes finite numbers, not inf"),
        (("--ref-scale", "1e400"), "--ref-scale takes finite numbers, not inf"),
        (("--ref-scale", "1" + "0" * 400), "--ref-scale takes finite numbers, not 1000"),
        (("--ref-scale", "null"), "'null' is no scale"),
        (("--height", "65"), "height_px is 65: input should be a multiple of 8"),
        (("--width", "80000000"), "a picture has at most 40,000,000 px"),
        (("--height", "0"), "Invalid value for '--height': 0 is not in the range x>=8"),
        (("--steps", "0"), "Invalid value for '--steps': 0 is not in the range x>=1"),
        (("--steps", "1001"), "num_inference_steps must be from 1 to 1000, not 1001"),
        (("--steps", "51", "--sampler", "lcm"), "num_inference_steps must be from 1 to 50, not 51"),
        (("--seed", "99999999999999999999"), "Invalid value for '--seed': 99999999999999999999 is not in"),
        (("--seed", "-1"), "Invalid value for '--seed': -1 is not in the range 0<=x<=18446744073709551615"),
        (("--seed", str(2**64 - 1), "--count", "2"), "seeds go from 0 to 18446744073709551615"),
        (("--guidance", "nan"), "guidance_scale is nan: input should be a finite number"),
        (("--guidance", "inf"), "guidance_scale is inf: input should be a finite number"),
        (("--guidance", "-1"), "Invalid value for '--guidance': -1.0 is not in the range x>=0"),
        (("--between", "anna-smith", "bob-stone", "nan"), "between.2 is nan"),
        (("--out", "/dev/null/pictures"), "--out /dev/null/pictures cannot be made: /dev/null is no folder"),
        (("--out", "x" * 300), "is no folder: File name too long"),
        (("--prompt", "a \udce9"), r"prompt 'a \udce9' is not UTF-8"),
    ],
)
def test_errors_say_the_way_out(generate, tmp_path: Path, arguments, message: str) -> None:
    failed = generate("--prompt", "a woman", *arguments)
    assert isinstance(failed.exception, SystemExit)
    assert failed.output.splitlines()[-1].startswith("Error: ")
    assert message in failed.output.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [("--guidance", "nan"), ("--seed", "-1"), ("--out", "/dev/null/pictures")]
)
def test_what_needs_no_model_is_refused_before_one_is_loaded(generate, monkeypatch, arguments) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded before the options were looked at")

    monkeypatch.setattr("bolid_pipeline.models.pipeline.load_pipeline", refuse)
    assert isinstance(generate("--prompt", "a woman", *arguments).exception, SystemExit)


def test_prompts_that_share_their_words_get_a_file_each_and_so_does_the_next_run(generate, tmp_path) -> None:
    prompts = (
        "a woman (red dress)",
        "A woman, red dress",
        "\N{DROMEDARY CAMEL}",
        "\N{SNOWMAN}",
        "x" * 99,
        "x" * 98,
    )
    arguments = [word for prompt in prompts for word in ("--prompt", prompt)]
    for scale in ("0", "1"):
        done = generate(*arguments, "--body-scale", scale)
        assert done.exit_code == 0, done.output
    assert len(_pictures(tmp_path)) == 2 * len(prompts)
    assert {"a_woman_red_dress-0.png", "a_woman_red_dress-0-2.png", "0.png", "0-4.png"} <= {
        *_pictures(tmp_path)
    }
    generate(*arguments, "--overwrite")
    assert len(_pictures(tmp_path)) == 2 * len(prompts)


@pytest.mark.parametrize(
    "missing",
    ["training_config.json", "ref_adapter.safetensors", "body_adapter.safetensors", "body_bank.json"],
)
def test_a_missing_file_of_the_checkpoint_is_named(
    generate, checkpoint: Path, tmp_path: Path, missing: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / missing).unlink()
    failed = generate("--prompt", "a woman", folder=broken)
    assert failed.exit_code == 1
    assert missing in failed.output


def test_a_picture_that_is_none_is_named(generate, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("no picture")
    failed = generate("--prompt", "a woman", "--ref", str(tmp_path / "photo.jpg"))
    assert failed.exit_code == 1
    assert "photo.jpg cannot be read as a picture" in failed.output


def test_inspect_tells_generated_pictures_from_others(generate, tmp_path: Path) -> None:
    generate("--prompt", "a woman")
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "photo.png")
    shown = CliRunner().invoke(
        main, ["inspect", str(tmp_path / "out" / "a_woman-0.png"), str(tmp_path / "photo.png")]
    )
    generated, other = shown.output.splitlines()
    assert "metadata: BoLID; mark: found" in generated
    assert "metadata: none; mark: not found" in other


def test_inspect_reads_every_picture_it_can_and_names_the_others(tmp_path: Path) -> None:
    for name in ("heic", "cmyk", "avif"):
        (tmp_path / name).write_bytes(picture_files.FILES[name])
    (tmp_path / "damaged.avif").write_bytes(picture_files.FILES["avif"].replace(b"pitm", b"free"))
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "forged.png").write_bytes(
        picture_files.with_chunk(picture_files.FILES["png"], b"tEXt", b"Software\0\x1b]0;BoLID\x07")
    )
    shown = CliRunner().invoke(main, ["inspect", *map(str, sorted(tmp_path.iterdir()))])
    assert shown.exit_code == 1
    told = {
        Path(path).name: rest
        for path, _, rest in (line.partition(": ") for line in shown.stdout.splitlines())
    }
    assert sorted(told) == ["avif", "cmyk", "forged.png", "heic"]
    assert all("mark: not found" in rest for rest in told.values())
    assert "metadata: \\x1b]0;BoLID\\x07;" in told["forged.png"]
    assert [line.rpartition("/")[2] for line in shown.stderr.splitlines()] == [
        "damaged.avif cannot be read as a picture: cut short, or damaged inside: copy it again from where it came",
        "text.jpg cannot be read as a picture: no picture at all, such as a web page or a text",
    ]


@pytest.mark.parametrize("option", ["--ref", "--image-prompt"])
def test_a_photo_that_a_person_names_is_read_as_training_reads_it(
    generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Its turn, its transparency and its 16 bits, and types that only an own folder may hold."""
    clear = picture_files.blocks().convert("RGBA")
    clear.putalpha(0)
    deep = Image.fromarray(np.full((60, 40), 0x8001, np.uint16))
    named = {
        "turned.jpg": picture_files.encoded(picture_files.blocks(), "JPEG", exif=picture_files.exif(6)),
        "turned.webp": picture_files.encoded(picture_files.blocks(), "WEBP", exif=picture_files.exif(8)),
        "clear.png": picture_files.encoded(clear, "PNG"),
        "deep.png": picture_files.encoded(deep, "PNG"),
        "phone.heic": picture_files.HEIC,
    }
    arguments = []
    for name, data in named.items():
        (tmp_path / name).write_bytes(data)
        arguments += [option, str(tmp_path / name)]
    seen: list[Image.Image] = []
    encode = BoLIDPipeline.encode_image

    def spy(pipe, pictures, *arguments):
        seen.extend(pictures)
        return encode(pipe, pictures, *arguments)

    monkeypatch.setattr(BoLIDPipeline, "encode_image", spy)
    done = generate("--prompt", "a woman", *arguments)
    assert done.exit_code == 0, done.output
    for picture, data in zip(seen, named.values(), strict=True):
        assert (np.asarray(picture) == decode_rgb(data)).all()
