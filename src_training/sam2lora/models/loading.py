"""Build and load base models from SAM 2's own modules; the only module that imports sam2.

The configuration of SAM 2.1 comes from the YAML files of the installed sam2 package, that of nano
from a table here. Hydra's global state is not used, and no file of the user decides what is built.
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
    read_metadata,
    read_weights,
    seed_weights,
    training_image_counts,
    weights_digest,
)
from sam2lora.utils.download import DownloadProgress, ignore_progress

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
            # Unlike in SAM 2.1 the finest levels get information of the coarse ones, at no cost.
            "fpn_top_down_levels": [0, 1, 2, 3],
            # With "nearest", as in SAM 2.1, outlines show the pixel steps of the coarsest level.
            "fpn_interp_model": "bilinear",
        },
    },
    "image_size": 512,
    "directly_add_no_mem_embed": True,
    "use_high_res_features_in_sam": True,
    # Trained from scratch, a sigmoid saturates at 0 while masks are still empty, and stays there.
    "iou_prediction_use_sigmoid": False,
    "pred_obj_scores": True,
    "pred_obj_scores_mlp": True,
    "use_multimask_token_for_obj_ptr": True,
}
"""The configuration of nano, in the format of SAM 2's own files."""


class NoPositions(nn.Module):
    """Placeholder for the neck's sine position encodings, which only the video memory uses.

    SAM 2's own module computes and copies them for every image (67 MB each at 1024 x 1024), and
    fills a cache on the GPU when it is built.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return an empty tensor."""
        return features.new_empty(0)


class HieraTrunk(Hiera):  # type: ignore[misc]
    """SAM 2's encoder, with its position embedding cached until its weights change.

    SAM 2's own class interpolates it bicubically again for every image.
    """

    _cached: tuple[list[object], tuple[Tensor, Tensor], Tensor] | None = None

    def _get_pos_embed(self, hw: tuple[int, int]) -> Tensor:
        learned = (self.pos_embed, self.pos_embed_window)
        if any(weight.requires_grad for weight in learned):
            self._cached = None  # not every optimizer increments a weight's version
            trained: Tensor = super()._get_pos_embed(hw)
            return trained
        # Loading a weight changes its version, replacing it changes its id.
        state = [*hw, *((id(w), w._version, w.device, w.dtype) for w in learned)]
        cached = self._cached
        if cached is None or cached[0] != state:
            # Outside of any mode, so that a training may use the result later.
            kind = self.pos_embed.device.type
            with torch.inference_mode(False), torch.no_grad(), torch.autocast(kind, enabled=False):
                # The weights are kept alive as well, so that their ids are not reused.
                self._cached = cached = (state, learned, super()._get_pos_embed(hw))
        return cached[-1]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A base model in memory.

    Attributes
    ----------
    spec
        Its entry in the registry; for a user's file, the entry of the same architecture.
    network
        The network, on the CPU, in float32 and evaluation mode, with frozen weights.
    weights_sha256
        Hash of the weights, which adapters are tied to (`weights.weights_digest`).
    trained
        Whether the weights are trained; False for random ones (see `note`).
    path
        File of the weights; None for random ones.
    single_mask
        Whether only SAM 2's single mask was trained, as by this project's own training, so that
        the three alternatives for a single point are meaningless.
    learned_from
        Dataset and target to the number of training images, if the file says so.
    """

    spec: BaseModel
    network: Sam2ImageModel
    weights_sha256: str
    trained: bool
    path: Path | None
    single_mask: bool = False
    learned_from: Mapping[str, int] = field(default_factory=dict)

    @property
    def given(self) -> str:
        """What `load_base` loads it from: its name, or the path of a user's file."""
        own = self.path is not None and self.path != self.spec.path
        return str(self.path) if own else self.spec.name

    @property
    def note(self) -> str:
        """Warning that every report must show, or an empty string."""
        if self.trained:
            return ""
        return (
            f"The model {self.spec.name!r} has random weights: until they are trained, its "
            "predictions are meaningless."
        )


def load_base(
    model: str | Path = "nano",
    *,
    progress: DownloadProgress = ignore_progress,
    offline: bool | None = None,
) -> LoadedModel:
    """Load a base model by name or from a file.

    Parameters
    ----------
    model
        A name in `BASE_MODELS`, downloaded if needed, or the path of a `.pt` or `.safetensors`
        file, whose architecture is recognized.
    progress, offline
        As in `fetch_base`.

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
    metadata = read_metadata(path)
    return LoadedModel(
        base,
        network,
        file_digest(network, path),
        trained=True,
        path=path,
        single_mask=metadata.get(MASK_TOKEN) == "single",
        learned_from=training_image_counts(metadata, path),
    )


def random_base(name: str) -> LoadedModel:
    """Build a base model with random weights, the same every time, to train from scratch.

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
    """Build the network of a base model with random weights, in evaluation mode and frozen.

    Torch's random state is not changed.

    Raises
    ------
    ModelError
        If the installed sam2 package describes another kind of network than SAM 2.1.
    """
    config = NANO if base.config is None else sam2_config(base.config)
    encoder = config["image_encoder"]
    trunk = _arguments(encoder["trunk"], Hiera)
    neck = _arguments(encoder["neck"], FpnNeck) | {"position_encoding": NoPositions()}
    scalp = _arguments(encoder, ImageEncoder)["scalp"]
    if config["image_size"] != base.input_size or not config["directly_add_no_mem_embed"]:
        raise ModelError(_other_sam2(f"{base.config} has other sizes or parts"))
    width, side = neck["d_model"], base.input_size // 16
    with torch.random.fork_rng(devices=[]):
        network = Sam2ImageModel(
            ImageEncoder(trunk=HieraTrunk(**trunk), neck=FpnNeck(**neck), scalp=scalp),
            # From here on, values that are not in the configuration are fixed in SAM 2's code.
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
                use_high_res_features=config["use_high_res_features_in_sam"],
                iou_prediction_use_sigmoid=config["iou_prediction_use_sigmoid"],
                pred_obj_scores=config["pred_obj_scores"],
                pred_obj_scores_mlp=config["pred_obj_scores_mlp"],
                use_multimask_token_for_obj_ptr=config["use_multimask_token_for_obj_ptr"],
            ),
            input_size=base.input_size,
        )
    return network.eval().requires_grad_(False)


def recognize(weights: Mapping[str, Tensor], source: Path) -> str:
    """Return the name of the base model that the tensors of a file belong to.

    Raises
    ------
    ModelError
        If they belong to no base model.
    """
    patch_embed = weights.get("image_encoder.trunk.patch_embed.proj.weight")
    blocks = {
        name.split(".")[3] for name in weights if name.startswith("image_encoder.trunk.blocks.")
    }
    if patch_embed is None or patch_embed.ndim != 4 or not blocks:
        raise ModelError(
            f"{source}: has no SAM 2 image encoder (image_encoder.trunk...); its first tensors are "
            f"{', '.join(sorted(weights)[:3])}."
        )
    for base in BASE_MODELS.values():
        if (base.width, base.depth) == (patch_embed.shape[0], len(blocks)):
            return base.name
    raise ModelError(
        f"{source}: an encoder of {len(blocks)} blocks that starts with {patch_embed.shape[0]} "
        f"channels is none of the base models ({', '.join(BASE_MODELS)})."
    )


def sam2_config(config: str) -> dict[str, Any]:
    """Read the configuration of a model from the installed sam2 package.

    Raises
    ------
    ModelError
        If the package has no such file, or it describes no model.
    """
    file = resources.files("sam2").joinpath(config)
    try:
        with resources.as_file(file) as path:
            content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise ModelError(_other_sam2(f"{config} is missing")) from error
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise ModelError(_other_sam2(f"{config} describes no model"))
    return model


def _arguments(config: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return the arguments for a class, after checking that they are meant for it."""
    target = f"{kind.__module__}.{kind.__qualname__}"
    if config.get("_target_") != target:
        raise ModelError(_other_sam2(f"{config.get('_target_')} instead of {target}"))
    return {name: value for name, value in config.items() if name != "_target_"}


def _other_sam2(found: str) -> str:
    return f"The installed sam2 package is not the one expected ({found}). Install sam2 1.1.0."
