"""Small random LoRA files, in the forms in which people share them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

# Layers of tests.pipelines.make_tiny_sd: what they read and what they write.
UNET_LAYERS = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": (32, 32),
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k": (32, 32),
}
TEXT_LAYERS = {f"encoder.layers.0.self_attn.{name}": (32, 32) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}


def save_lora(
    file: Path, unet: Mapping[str, tuple[int, int]] | None = None, text: Mapping[str, tuple[int, int]] | None = None,
    *, seed: int = 0, part: str = "unet", kohya: bool = False,
) -> Path:  # fmt: skip
    """A LoRA of rank 4 for these layers; `kohya` in the names of the trainer that most of them come from."""
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    parts = [(part, UNET_LAYERS if unet is None else unet), ("text_encoder", text or {})]
    for prefix, layers in parts:
        for layer, (reads, writes) in layers.items():
            down = torch.randn(4, reads, generator=generator)
            up = torch.randn(writes, 4, generator=generator)
            if kohya:
                path = layer if prefix == part else f"text_model.{layer}"
                name = f"{'lora_unet' if prefix == part else 'lora_te'}_{path.replace('.', '_')}"
                tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
                tensors[f"{name}.alpha"] = torch.tensor(4.0)
            else:
                tensors |= {f"{prefix}.{layer}.lora_A.weight": down, f"{prefix}.{layer}.lora_B.weight": up}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, file, metadata={"ss_output_name": file.stem})
    return file
