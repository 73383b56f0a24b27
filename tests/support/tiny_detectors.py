"""Detectors with random weights in the formats that the real ones are published in, but small where the format allows.

The networks see faces and people in noise.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
    VitPoseImageProcessor,
)

_COCO_CLASSES = {0: "person"} | {index: f"class {index}" for index in range(1, 80)}


def save_rt_detr(
    folder: Path, *, classes: dict[int, str] | None = None, queries: int = 20, seed: int = 0
) -> Path:
    """Write an RT-DETR as `PekingU/rtdetr_r50vd` is laid out; it finds as many persons as it has queries."""
    torch.manual_seed(seed)
    backbone = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 24],
        depths=[1, 1, 1, 1],
        layer_type="bottleneck",
        out_features=["stage2", "stage3", "stage4"],
    )
    names = classes or _COCO_CLASSES
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_hidden_dim=16,
        encoder_in_channels=[16, 16, 24],
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        d_model=16,
        num_queries=queries,
        decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16,
        decoder_attention_heads=2,
        decoder_layers=2,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    network = RTDetrForObjectDetection(config)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if value.ndim > 1:
                value.normal_(0, 0.3)
            if "class_embed" in name and value.ndim == 1:
                value[0] += 7  # somebody everywhere
            if name.endswith("layers.2.bias") and "bbox_embed" in name:
                value[2:] += 2  # and large
    network.save_pretrained(folder)
    RTDetrImageProcessor().save_pretrained(folder)
    return folder


def save_vitpose(folder: Path, *, keypoints: int = 17, experts: int = 1, seed: int = 0) -> Path:
    """Write a ViTPose as `usyd-community/vitpose-base-simple` is laid out; with experts, as `vitpose-plus-base`."""
    torch.manual_seed(seed)
    backbone = VitPoseBackboneConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        out_indices=[2],
        num_experts=experts,
        part_features=4 if experts > 1 else 0,
    )
    config = VitPoseConfig(backbone_config=backbone, num_labels=keypoints, use_simple_decoder=experts == 1)
    network = VitPoseForPoseEstimation(config)
    with torch.no_grad():
        network.head.conv.weight.mul_(100)  # so that it is sure of what it finds
    network.save_pretrained(folder)
    VitPoseImageProcessor().save_pretrained(folder)
    return folder


def save_yunet(
    path: Path,
    *,
    face_logit: float = 0.0,
    outputs: Sequence[str] = ("cls", "obj", "bbox", "kps"),
    seed: int = 0,
) -> Path:
    """Write a YuNet with the graph of `face_detection_yunet_2023mar.onnx`, in its real size.

    Noise holds faces, the more the higher the logit.

    The graph is that of YuNet_s as github.com/ShiqiYu/libfacedetection.train exports it: see its
    configs/yunet_s.py, mmdet/models and tools/yunet2onnx.py. Normalisations are folded into the convolutions.
    """
    onnx.save(_YuNetGraph(np.random.default_rng(seed), face_logit).model(outputs), path)
    return path


def sha256_of(path: Path) -> str:
    """The hash to pin."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _YuNetGraph:
    def __init__(self, rng: np.random.Generator, face_logit: float) -> None:
        self._rng = rng
        self._face_logit = face_logit
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def model(self, kinds: Sequence[str]) -> Any:
        pictures = "input"
        x = self._relu(self._conv(pictures, 3, 16, 3, stride=2, padding=1, gain=1 / 128))
        x = self._pool(self._unit(x, 16, 16))
        x = self._unit(self._unit(x, 16, 16), 16, 32)
        x = self._pool(self._unit(self._unit(x, 32, 32), 32, 64))
        levels = []
        for is_last in (False, False, True):
            x = self._unit(self._unit(x, 64, 64), 64, 64)
            levels.append(x)
            x = x if is_last else self._pool(x)
        for level in (2, 1):
            levels[level] = self._unit(levels[level], 64, 64)
            grown = self._grow(levels[level])
            levels[level - 1] = self._node("Add", [levels[level - 1], grown])
        levels[0] = self._unit(levels[0], 64, 64)
        outputs = []
        for kind in kinds:
            channels = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[kind]
            for level, stride in zip(levels, (8, 16, 32), strict=True):
                found = self._unit(
                    level, 64, channels, bias=self._face_logit if kind == "cls" else 0.0, gain=0.05
                )
                found = self._node("Transpose", [found], perm=[0, 2, 3, 1])
                shape = self._constant(np.array([1, -1, channels]))
                name = f"{kind}_{stride}"
                if kind in ("cls", "obj"):
                    self._node("Sigmoid", [self._node("Reshape", [found, shape])], output=name)
                else:
                    self._node("Reshape", [found, shape], output=name)
                cells = (640 // stride) ** 2
                outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, cells, channels]))
        inputs = [helper.make_tensor_value_info(pictures, TensorProto.FLOAT, [1, 3, 640, 640])]
        graph = helper.make_graph(self._nodes, "torch-jit-export", inputs, outputs, self._weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
        model.ir_version = 6
        onnx.checker.check_model(model)
        return model

    def _node(self, kind: str, inputs: list[str], output: str = "", **settings: Any) -> str:
        output = output or f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def _constant(self, values: Any) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _conv(
        self,
        x: str,
        inside: int,
        outside: int,
        side: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        gain: float = 1.0,
        bias: float = 0.0,
    ) -> str:
        fan_in = inside // groups * side**2
        weights = self._rng.normal(0, gain * (2 / fan_in) ** 0.5, (outside, inside // groups, side, side))
        biases = np.full(outside, bias, np.float32)
        return self._node(
            "Conv",
            [x, self._constant(weights.astype(np.float32)), self._constant(biases)],
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[padding] * 4,
            dilations=[1, 1],
            group=groups,
        )

    def _relu(self, x: str) -> str:
        return self._node("Relu", [x])

    def _unit(
        self, x: str, inside: int, outside: int, *, bias: float | None = None, gain: float = 1.0
    ) -> str:
        """A pointwise and a depthwise convolution; one with a bias is the network's last and has no ReLU."""
        x = self._conv(x, inside, outside, 1, gain=gain)
        x = self._conv(x, outside, outside, 3, padding=1, groups=outside, bias=bias or 0.0)
        return self._relu(x) if bias is None else x

    def _pool(self, x: str) -> str:
        return self._node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)

    def _grow(self, x: str) -> str:
        no_box = self._constant(np.zeros(0, np.float32))
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        return self._node(
            "Resize",
            [x, no_box, scales],
            mode="nearest",
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
            cubic_coeff_a=-0.75,
        )
