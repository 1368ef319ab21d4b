"""Small random models that are preprocessors, of the real classes: they see nonsense, and see it as the big ones do."""

from pathlib import Path

import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def make_tiny_depth(folder: Path) -> Path:
    """A Depth Anything; gives the folder back."""
    backbone = Dinov2Config(
        **SIZES, image_size=28, patch_size=14, out_features=["stage1", "stage2"], reshape_hidden_states=False
    )
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, patch_size=14, reassemble_factors=[1, 0.5],
        neck_hidden_sizes=[8, 16], fusion_hidden_size=8, head_hidden_size=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DepthAnythingForDepthEstimation(config)
        with torch.no_grad():
            model.head.conv3.bias.add_(1.0)  # nothing is nearer than 0: else all of it might be
        model.save_pretrained(folder)
    side = {"height": 28, "width": 28}
    DPTImageProcessorPil(size=side, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)
    return folder


def make_tiny_dpt(folder: Path) -> Path:
    """A DPT; gives the folder back."""
    config = DPTConfig(
        **(SIZES | {"num_hidden_layers": 4}), intermediate_size=37, image_size=32, patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DPTForDepthEstimation(config)
        with torch.no_grad():
            model.head.head[4].bias.add_(1.0)
        model.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def make_tiny_pose(folder: Path) -> Path:
    """A ViTPose; gives the folder back."""
    backbone = VitPoseBackboneConfig(
        **SIZES, image_size=(64, 48), patch_size=(16, 16), mlp_ratio=1, out_features=["stage2"]
    )
    config = VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VitPoseForPoseEstimation(config)
        with torch.no_grad():
            model.head.conv.bias.add_(0.5)  # so that it is sure of each place
        model.save_pretrained(folder)
    return folder
