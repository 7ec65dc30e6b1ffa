"""Build and load base models from SAM 2's own modules: the only importer of sam2.

The numbers of SAM 2.1 come from the YAML files inside the installed sam2 package, those of nano
from a table here. Hydra's global state is not used, and nothing a user provides says what to build.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from sam2.modeling.backbones.hieradet import Hiera
from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
from sam2.modeling.sam.mask_decoder import MaskDecoder
from sam2.modeling.sam.prompt_encoder import PromptEncoder
from sam2.modeling.sam.transformer import TwoWayTransformer
from torch import Tensor, nn

from sam2lora.errors import ModelError
from sam2lora.models.registry import BASE_MODELS, BaseModel, fetch_base, get_base
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.models.weights import (
    MASK_TOKEN,
    WEIGHT_SUFFIXES,
    file_digest,
    fit_weights,
    images_learned,
    read_notes,
    read_weights,
    seed_weights,
    weights_digest,
)
from sam2lora.utils.download import Progress, ignore_progress

_RANDOM_SEED = 20251010

NANO: Mapping[str, Any] = {
    "_target_": "sam2.modeling.sam2_base.SAM2Base",
    "image_encoder": {
        "_target_": "sam2.modeling.backbones.image_encoder.ImageEncoder",
        "scalp": 1,
        "trunk": {
            "_target_": "sam2.modeling.backbones.hieradet.Hiera",
            "embed_dim": 32,
            "num_heads": 1,
            "stages": [2, 3, 3, 1],
            # At 32 x 32 tokens attention over the whole image costs little.
            "global_att_blocks": [6, 7],
            "window_pos_embed_bkg_spatial_size": [7, 7],
            # Windows that divide 128, 64, 32 and 16, so that none is padded.
            "window_spec": [8, 8, 8, 8],
        },
        "neck": {
            "_target_": "sam2.modeling.backbones.image_encoder.FpnNeck",
            "d_model": 128,
            "backbone_channel_list": [256, 128, 64, 32],
            # Unlike in SAM 2.1 the finest levels get what coarse ones know; it costs nothing.
            "fpn_top_down_levels": [0, 1, 2, 3],
            # By "nearest", as in SAM 2.1, outlines get the straight steps of the coarsest level.
            "fpn_interp_model": "bilinear",
        },
    },
    "image_size": 512,
    "directly_add_no_mem_embed": True,
    "use_high_res_features_in_sam": True,
    # Trained from nothing, a sigmoid saturates at 0 while masks are still empty, and stays there.
    "iou_prediction_use_sigmoid": False,
    "pred_obj_scores": True,
    "pred_obj_scores_mlp": True,
    "use_multimask_token_for_obj_ptr": True,
}
"""The numbers of nano, in the form of SAM 2's own files."""


class NoPositions(nn.Module):
    """Stand in for the sine positions of the neck, which only the memory of videos reads.

    SAM 2's own module computes and copies them for every image (67 MB each at 1024 x 1024), and
    fills a cache on the GPU when it is built.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Give an empty tensor."""
        return features.new_empty(0)


class HieraTrunk(Hiera):  # type: ignore[misc]
    """SAM 2's encoder, which keeps its positions as long as they are the same.

    SAM 2's own interpolates them, bicubically, for every image anew.
    """

    _kept: tuple[list[object], tuple[Tensor, Tensor], Tensor] | None = None

    def _get_pos_embed(self, hw: tuple[int, int]) -> Tensor:
        learned = (self.pos_embed, self.pos_embed_window)
        if any(one.requires_grad for one in learned):
            self._kept = None  # not every optimizer counts a weight's versions
            trained: Tensor = super()._get_pos_embed(hw)
            return trained
        # A weight that is loaded gets another version, one that is replaced another identity.
        state = [*hw, *((id(one), one._version, one.device, one.dtype) for one in learned)]
        kept = self._kept
        if kept is None or kept[0] != state:
            # Outside of any mode, so that a training may use them later.
            kind = self.pos_embed.device.type
            with torch.inference_mode(False), torch.no_grad(), torch.autocast(kind, enabled=False):
                # The weights are kept as well, so that no other gets their identity.
                self._kept = kept = (state, learned, super()._get_pos_embed(hw))
        return kept[-1]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A base model in memory.

    Attributes
    ----------
    spec
        Its entry in the table; for a file of the user's, the entry of the same architecture.
    network
        On the CPU, in float32 and evaluation mode, with frozen weights.
    weights_sha256
        What adapters are tied to (`weights.identify`).
    trained
        False while the weights are random; `note` says so.
    path
        The file the weights came from; None for random ones.
    single_mask
        True where nothing but SAM 2's single mask was trained, as this project's own training
        does, so that the three alternatives for a lone click mean nothing.
    learned_from
        Data set and target to the number of images it learned from, where its file says so.
    """

    spec: BaseModel
    network: Sam2ImageModel
    weights_sha256: str
    trained: bool
    path: Path | None
    single_mask: bool = False
    learned_from: Mapping[str, int] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """A sentence every report has to carry, or nothing."""
        if self.trained:
            return ""
        return (
            f"The model {self.spec.name!r} has random weights: until they are trained, its answers "
            "mean nothing."
        )


def load_base(
    model: str | Path = "nano",
    *,
    progress: Progress = ignore_progress,
    offline: bool | None = None,
) -> LoadedModel:
    """Load a base model by name or from a file.

    Parameters
    ----------
    model
        A name in `BASE_MODELS`, downloaded if need be, or the path of a `.pt` or `.safetensors`
        file, whose architecture is recognized.
    progress, offline
        As for `fetch_base`.

    Raises
    ------
    ModelError
        If the name is unknown, the file is missing, corrupt or does not fit, or the download fails.
    OutputError
        If a download cannot be written.
    """
    if isinstance(model, Path) or Path(model).suffix in WEIGHT_SUFFIXES:
        path = Path(model).expanduser()
        weights = read_weights(path)
        base = get_base(recognize(weights, path))
    else:
        base = get_base(model)
        path = base.path if base.embedded else fetch_base(base, progress=progress, offline=offline)
        weights = read_weights(path)
    network = build_network(base)
    fit_weights(network, weights, path)
    notes = read_notes(path)
    return LoadedModel(
        base,
        network,
        file_digest(network, path),
        trained=True,
        path=path,
        single_mask=notes.get(MASK_TOKEN) == "single",
        learned_from=images_learned(notes, path),
    )


def random_base(name: str) -> LoadedModel:
    """Build a base model with random weights, the same ones each time, to train from scratch.

    Raises
    ------
    ModelError
        If the name is unknown.
    """
    base = get_base(name)
    network = build_network(base)
    seed_weights(network, seed=_RANDOM_SEED)
    return LoadedModel(base, network, weights_digest(network), trained=False, path=None)


def build_network(base: BaseModel) -> Sam2ImageModel:
    """Build the network of a base model, in evaluation mode and frozen; the weights are random.

    Torch's random state stays as it was.

    Raises
    ------
    ModelError
        If the installed sam2 package describes another kind of network than SAM 2.1.
    """
    numbers = NANO if base.config is None else sam2_numbers(base.config)
    encoder = numbers["image_encoder"]
    trunk = _arguments(encoder["trunk"], Hiera)
    neck = _arguments(encoder["neck"], FpnNeck) | {"position_encoding": NoPositions()}
    scalp = _arguments(encoder, ImageEncoder)["scalp"]
    if numbers["image_size"] != base.input_size or not numbers["directly_add_no_mem_embed"]:
        raise ModelError(_other_sam2(f"{base.config} has other sizes or parts"))
    width, side = neck["d_model"], base.input_size // 16
    with torch.random.fork_rng(devices=[]):
        network = Sam2ImageModel(
            ImageEncoder(trunk=HieraTrunk(**trunk), neck=FpnNeck(**neck), scalp=scalp),
            # From here on, numbers that are not in a file are fixed in SAM 2's code.
            PromptEncoder(
                embed_dim=width,
                image_embedding_size=(side, side),
                input_image_size=(base.input_size, base.input_size),
                mask_in_chans=16,
            ),
            MaskDecoder(
                num_multimask_outputs=3,
                transformer=TwoWayTransformer(
                    depth=2, embedding_dim=width, mlp_dim=2048, num_heads=8
                ),
                transformer_dim=width,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
                use_high_res_features=numbers["use_high_res_features_in_sam"],
                iou_prediction_use_sigmoid=numbers["iou_prediction_use_sigmoid"],
                pred_obj_scores=numbers["pred_obj_scores"],
                pred_obj_scores_mlp=numbers["pred_obj_scores_mlp"],
                use_multimask_token_for_obj_ptr=numbers["use_multimask_token_for_obj_ptr"],
            ),
            input_size=base.input_size,
        )
    return network.eval().requires_grad_(False)


def recognize(weights: Mapping[str, Tensor], source: Path) -> str:
    """Tell from the tensors of a file which base model they belong to, by name.

    Raises
    ------
    ModelError
        If they belong to none.
    """
    first = weights.get("image_encoder.trunk.patch_embed.proj.weight")
    blocks = {
        name.split(".")[3] for name in weights if name.startswith("image_encoder.trunk.blocks.")
    }
    if first is None or first.ndim != 4 or not blocks:
        raise ModelError(
            f"{source}: has no SAM 2 image encoder (image_encoder.trunk...); its first tensors are "
            f"{', '.join(sorted(weights)[:3])}."
        )
    for base in BASE_MODELS.values():
        if (base.width, base.depth) == (first.shape[0], len(blocks)):
            return base.name
    raise ModelError(
        f"{source}: an encoder of {len(blocks)} blocks that starts with {first.shape[0]} channels "
        f"is none of the base models ({', '.join(BASE_MODELS)})."
    )


def sam2_numbers(config: str) -> dict[str, Any]:
    """Read the numbers of a model from the installed sam2 package."""
    file = resources.files("sam2").joinpath(config)
    try:
        with resources.as_file(file) as path:
            content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise ModelError(_other_sam2(f"{config} is missing")) from error
    numbers = content.get("model") if isinstance(content, dict) else None
    if not isinstance(numbers, dict):
        raise ModelError(_other_sam2(f"{config} describes no model"))
    return numbers


def _arguments(numbers: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Give the arguments for one class, after proving that they are meant for it."""
    target = f"{kind.__module__}.{kind.__qualname__}"
    if numbers.get("_target_") != target:
        raise ModelError(_other_sam2(f"{numbers.get('_target_')} instead of {target}"))
    return {name: value for name, value in numbers.items() if name != "_target_"}


def _other_sam2(found: str) -> str:
    return f"The installed sam2 package is not the one expected ({found}). Install sam2 1.1.0."
