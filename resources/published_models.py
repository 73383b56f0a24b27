"""The published models that deployments use: the one place that knows their licences, files and hashes.

A deployment names them by address (`Deployment.weight_repositories`). Add a model here together with its licence; a
revision or a hash only with the source that it was read from. docs/licences.md is written from this list
(`make licences`).

The hub was out of reach when the hashes were collected. They were read on 2026-11-26 from copies of its own pages
(commits, and "LFS details" of files), and from the pins of public repositories on GitHub; `source` says which. A hash
that is wrong shows as a refusal of the right file, never as the use of a wrong one.
"""

from typing import Any

from bolid_pipeline.pretrained.published import Licence, PublishedModel

APACHE = Licence(
    name="Apache-2.0", allows_products=True, conditions="Keep its notices; say what you have changed."
)
MIT = Licence(name="MIT", allows_products=True, conditions="Keep its notice.")
AGPL = Licence(
    name="AGPL-3.0",
    allows_products=False,
    conditions="A product or service that uses it must be AGPL itself; else Ultralytics sells a licence.",
)
BSD = Licence(name="BSD-3-Clause", allows_products=True, conditions="Keep its notice.")
OWN_LICENCE = Licence(name="AGPL-3.0 (BoLID)", allows_products=False, conditions="As BoLID itself.")
ULTRALYTICS_TUNED = Licence(
    name="Apache-2.0, on AGPL-3.0",
    allows_products=False,
    conditions="Apache-2.0 by its author, but fine-tuned from a network of Ultralytics and loaded by their code: "
    "AGPL-3.0 counts.",
)
OPENRAIL_M = Licence(
    name="CreativeML OpenRAIL-M",
    allows_products=True,
    conditions="Its list of forbidden uses binds you, and whoever you pass the model or its descendants to.",
)
OPENRAIL_PP_M = Licence(
    name="CreativeML Open RAIL++-M", allows_products=True, conditions=OPENRAIL_M.conditions
)
CLIP_MIT = Licence(
    name="MIT",
    allows_products=True,
    conditions="Keep its notice. Its card calls deployed uses out of scope.",
)
QWEN_RESEARCH = Licence(
    name="Qwen Research License", allows_products=False, conditions="For research and evaluation only."
)

_COMMITS = "the hub's pages of commits and files"
_REPOSITORIES = "several public repositories agree"
_HYPER_SD_LICENCE = "its card of these commits names the licence, that of today names none"

_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_SD15_REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
_IP_ADAPTER = "h94/IP-Adapter"
_IP_ADAPTER_REVISION = "018e402774aeeddd60609b4ecdb7e298259dc729"
_YOLO11 = "Ultralytics/YOLO11"

_UNET = "unet/diffusion_pytorch_model.safetensors"
_VAE = "vae/diffusion_pytorch_model.safetensors"
_TEXT_ENCODER = "text_encoder/model.safetensors"
_TEXT_ENCODER_2 = "text_encoder_2/model.safetensors"
_CONFIGS = ("model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json")
_TRANSFORMERS_FILES = ("config.json", "model.safetensors", "preprocessor_config.json")
_TOKENIZER = ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")

_YOLO11_POSE = {
    "n": ("869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0", 6_255_593),
    "s": ("1060bda4a27012060eca246f9b2adeea22eabb045a1e58f8d229be29b7ebc2ba", 20_373_161),
    "m": ("29b17eaf3a3117cbea906090dbedf9159f7c6a49db58ec8b99ed2dfde1cf6eb2", 42_459_307),
    "l": ("61921abe1f2ed930bf28328a16b3162278cdb239a1e8280b6ac827119f13cee0", 53_164_402),
    "x": ("013c43543b0751b8918486ba96e01ee44a59040683a07f96cc22bcc2cb7785f8", 118_481_010),
}
"""Size of the network -> sha256 and bytes."""


def _file(address: str, sha256: str, **known: Any) -> PublishedModel:
    """A model of a single file."""
    return PublishedModel(address=address, sha256={address.split("/", 2)[2]: sha256}, **known)


_BASE_MODELS = (
    PublishedModel(
        address=_SD15,
        files=(
            *_CONFIGS,
            "feature_extractor/preprocessor_config.json",
            *(f"tokenizer/{name}" for name in _TOKENIZER),
            "text_encoder/config.json",
            _TEXT_ENCODER,
            _UNET,
            _VAE,
        ),
        licence=OPENRAIL_M,
        size_bytes=4_265_076_690,
        revision=_SD15_REVISION,
        sha256={
            _TEXT_ENCODER: "d008943c017f0092921106440254dbbe00b6a285f7883ec8ba160c3faad88334",
            _UNET: "19da7aaa4b880e59d56843f1fcb4dd9b599c28a1d9d9af7c1143057c8ffae9f1",
            _VAE: "a2b5134f4dbc140d9c11f11cba3233099e00af40f262f136c691fb7d38d2194c",
        },
        source=f"{_COMMITS} of copies; {_REPOSITORIES}",
    ),
    PublishedModel(
        address=f"{_SD15}/feature_extractor",
        files=("preprocessor_config.json",),
        licence=OPENRAIL_M,
        size_bytes=342,
        revision=_SD15_REVISION,
        source=_REPOSITORIES,
    ),
    PublishedModel(
        address=_SDXL,
        files=(
            *_CONFIGS,
            *(f"{folder}/{name}" for folder in ("tokenizer", "tokenizer_2") for name in _TOKENIZER),
            "text_encoder/config.json",
            _TEXT_ENCODER,
            "text_encoder_2/config.json",
            _TEXT_ENCODER_2,
            _UNET,
            _VAE,
        ),
        licence=OPENRAIL_PP_M,
        size_bytes=13_875_688_436,
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        sha256={
            _TEXT_ENCODER: "5c3d6454dd2d23414b56aa1b5858a72487a656937847b6fea8d0606d7a42cdbc",
            _TEXT_ENCODER_2: "3a6032f63d37ae02bbc74ccd6a27440578cd71701f96532229d0154f55a8d3ff",
            _UNET: "357650fbfb3c7b4d94c1f5fd7664da819ad1ff5a839430484b4ec422d03f710a",
            _VAE: "1598f3d24932bcfe6634e8b618ea1e30ab1d57f5aad13a6d2de446d2199f2341",
        },
        source=f"{_COMMITS} of copies; {_REPOSITORIES}",
    ),
)

_DIFFUSION_PARTS = (
    PublishedModel(
        address=f"{_IP_ADAPTER}/models/image_encoder",
        files=("config.json", "model.safetensors"),
        licence=APACHE,
        size_bytes=2_528_373_448,
        revision=_IP_ADAPTER_REVISION,
        sha256={
            "models/image_encoder/model.safetensors": "6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030"
        },
        source=_REPOSITORIES,
    ),
    _file(
        f"{_IP_ADAPTER}/models/ip-adapter_sd15.safetensors",
        "289b45f16d043d0bf542e45831f971dcdaabe18b656f11e86d9dfba7e9ee3369",
        licence=APACHE,
        size_bytes=44_642_768,
        revision=_IP_ADAPTER_REVISION,
        source=_REPOSITORIES,
    ),
    _file(
        f"{_IP_ADAPTER}/sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        "ebf05d918348aec7abb02a5e9ecef77e0aaea6914a5c4ea13f50d45eb1681831",
        licence=APACHE,
        size_bytes=698_391_064,
        revision=_IP_ADAPTER_REVISION,
        source=_REPOSITORIES,
    ),
    PublishedModel(
        address="madebyollin/taesd",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
        licence=MIT,
        size_bytes=9_793_292,
        revision="614f76814bbe30edbe2e627ace1c2234c81a2c0e",
        sha256={
            "config.json": "3ebefd1aa96ac474cc6430fe6ea81febccf7ee82461715691ee9315c884adeef",
            "diffusion_pytorch_model.safetensors": "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549",
        },
        source=_REPOSITORIES,
    ),
    PublishedModel(
        address="madebyollin/taesdxl",
        files=("config.json", "diffusion_pytorch_model.safetensors"),
        licence=MIT,
        size_bytes=9_793_292,
        revision="b581b405a4be617b15c80368c62b65c2fea5495d",
        sha256={
            "diffusion_pytorch_model.safetensors": "0070e0bf1b85d84c836ebb0dc0d8a69200de91aa1a2a726efdb5153e810a27e6",
        },
        source=_COMMITS,
    ),
)

_FEW_STEP_LORAS = (
    _file(
        "latent-consistency/lcm-lora-sdv1-5/pytorch_lora_weights.safetensors",
        "8f90d840e075ff588a58e22c6586e2ae9a6f7922996ee6649a7f01072333afe4",
        licence=OPENRAIL_PP_M,
        size_bytes=134_621_556,
        revision="cf2fced511dbe7e26c8d1d397e728fbab875db4b",
        source=_REPOSITORIES,
    ),
    _file(
        "latent-consistency/lcm-lora-sdxl/pytorch_lora_weights.safetensors",
        "a764e6859b6e04047cd761c08ff0cee96413a8e004c9f07707530cd776b19141",
        licence=OPENRAIL_PP_M,
        size_bytes=393_855_224,
        revision="a18548dd4956b174ec5b0d78d340c8dae0a129cd",
        source=_REPOSITORIES,
    ),
    _file(
        "ByteDance/Hyper-SD/Hyper-SD15-4steps-lora.safetensors",
        "c5dd058616461ed5053e2b14eec4dbe3fa0eea3b13688642f6d6c80ea2ba5958",
        licence=OPENRAIL_PP_M,
        size_bytes=269_127_064,
        revision="123f4ee05849b8241d5f451b089cb14a1019566d",
        source=f"{_COMMITS}; {_HYPER_SD_LICENCE}",
    ),
    _file(
        "ByteDance/Hyper-SD/Hyper-SDXL-4steps-lora.safetensors",
        "12f81a27d00a751a40d68fd15597091896c5a90f3bd632fb6c475607cbdad76e",
        licence=OPENRAIL_PP_M,
        size_bytes=787_359_648,
        revision="2900d2793fbe23f09baacf4e4e3a4a5846e74616",
        source=f"{_COMMITS}; {_HYPER_SD_LICENCE}",
    ),
)

_PHOTO_MODELS = (
    _file(
        "boomb0om/watermark-detectors/convnext-tiny_watermarks_detector.pth",
        "a83262f23f4fc6e87b0043a3a766e2c6eabcce63e26af78f35d5683d33066866",
        licence=BSD,
        size_bytes=113_000_000,
        revision="e03e43bc024710d1825517473d7553779e45f1f7",
        source=_COMMITS,
    ),
    PublishedModel(
        address="AdamCodd/YOLOv11n-face-detection/model.pt",
        licence=ULTRALYTICS_TUNED,
        revision="895c5d8452685fab8ff9e33b28098d926adc90c4",
        source="two public repositories name this commit; its sha256 is not known, so it has to be pinned",
    ),
    *(
        _file(
            f"{_YOLO11}/yolo11{size}-pose.pt",
            sha256,
            licence=AGPL,
            size_bytes=size_bytes,
            revision="1d41cfddc10550b04b71ce479a791cc3e772a15d",
            source=_COMMITS,
        )
        for size, (sha256, size_bytes) in _YOLO11_POSE.items()
    ),
    _file(
        "opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        licence=MIT,
        size_bytes=232_589,
        revision="3cc26e7f1014a5ee5d74a42acee58bafc9d0a310",
        source="the git-lfs pointer of the file in github.com/opencv/opencv_zoo; the commit by the card of "
        "imagent/yunet-onnx and the hub's page of files",
    ),
    PublishedModel(
        address="PekingU/rtdetr_r50vd",
        files=_TRANSFORMERS_FILES,
        licence=APACHE,
        size_bytes=172_000_000,
        revision="ba74566142f4b2af096a2a0eaf1392804b6ea921",
        sha256={"model.safetensors": "5263d5521eff3e356f6cd8a371fd5dfb891725beda5f713674f79669115cdc64"},
        source=_COMMITS,
    ),
    PublishedModel(
        address="usyd-community/vitpose-base-simple",
        files=_TRANSFORMERS_FILES,
        licence=APACHE,
        size_bytes=344_000_000,
        revision="f6e1613793fc8a9220d857bdc4b9fc23f79eafe9",
        source=f"{_COMMITS}; the sha256 is not known",
    ),
    PublishedModel(
        address="Qwen/Qwen2.5-VL-3B-Instruct",
        files=(
            "chat_template.json",
            "config.json",
            "generation_config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ),
        licence=QWEN_RESEARCH,
        size_bytes=7_509_337_976,
        revision="66285546d2b821cf421d4f5eb2576359d3770cd3",
        sha256={
            "model-00001-of-00002.safetensors": "41a8895c164b4d32bae6b302f4603fcbc1797f32dafa45c7e9bcda23c6755df8",
            "model-00002-of-00002.safetensors": "365531ff8752420e89dee707b79d021fb2d6e25abafe486f080555a4fe6972e4",
        },
        source=f"{_COMMITS}; {_REPOSITORIES}",
    ),
    PublishedModel(
        address="Qwen/Qwen3-VL-4B-Instruct",
        files=("*.json", "chat_template*", "merges.txt", "model*.safetensors"),
        licence=APACHE,
        revision="ebb281ec70b05090aa6165b016eac8ec08e71b17",
        source=f"{_REPOSITORIES} on the commit; the sha256 are not known",
    ),
    PublishedModel(
        address="openai/clip-vit-large-patch14",
        files=(
            "config.json",
            "merges.txt",
            "model.safetensors",
            "preprocessor_config.json",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.json",
        ),
        licence=CLIP_MIT,
        size_bytes=1_710_540_580,
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        sha256={
            "model.safetensors": "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
        },
        source=_REPOSITORIES,
    ),
)

PUBLISHED = {
    model.address: model for model in (*_BASE_MODELS, *_DIFFUSION_PARTS, *_FEW_STEP_LORAS, *_PHOTO_MODELS)
}
"""Address -> model."""


def published_model(address: str) -> PublishedModel:
    """The model of an address; of one that is not in the list, all files are needed and nothing else is known."""
    return PUBLISHED.get(address) or PublishedModel(address=address)
