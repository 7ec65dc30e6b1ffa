"""The peer: stock SAM 2 from its authors' package, with the weights of one of our networks.

Besides `sam2lora.models.loading` the only module that imports sam2.
"""

import logging
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor

from sam2lora.errors import ModelError
from sam2lora.models.loading import NANO, sam2_config
from sam2lora.models.registry import BASE_MODELS, BaseModel
from sam2lora.models.sam2_image_model import Sam2ImageModel


def stock_model(base: BaseModel, network: Sam2ImageModel) -> Any:
    """Build a complete `SAM2Base` of SAM 2, on the device of a network and with its weights.

    nano, which has no video model, gets identities in place of the memory modules.

    Raises
    ------
    ModelError
        If the installed sam2 package has other modules than the network.
    """
    config = base.config or BASE_MODELS["tiny"].config
    assert config is not None
    numbers: Any = OmegaConf.create(sam2_config(config))
    if base.config is None:
        numbers = OmegaConf.merge(numbers, OmegaConf.create(dict(NANO)))
        numbers.image_encoder.neck.position_encoding.num_pos_feats = network.no_mem_embed.shape[-1]
        numbers.memory_attention = {"_target_": "torch.nn.Identity"}
        numbers.memory_encoder = {"_target_": "torch.nn.Identity"}
    numbers.image_size = network.input_size
    with torch.random.fork_rng(devices=[]):
        model = _instantiate(OmegaConf.to_container(numbers)).eval()
    missing = model.load_state_dict(network.state_dict(), strict=False).unexpected_keys
    if missing:
        raise ModelError(f"The installed sam2 package has no {', '.join(missing[:3])}.")
    return model.to(network.device)


def _instantiate(numbers: Any) -> Any:
    """Create the objects that a config of the sam2 package describes."""
    if isinstance(numbers, list):
        return [_instantiate(item) for item in numbers]
    if not isinstance(numbers, dict):
        return numbers
    arguments = {name: _instantiate(value) for name, value in numbers.items() if name != "_target_"}
    if "_target_" not in numbers:
        return arguments
    module, _, name = numbers["_target_"].rpartition(".")
    return getattr(import_module(module), name)(**arguments)


def stock_predictor(base: BaseModel, network: Sam2ImageModel) -> Any:
    """Return SAM 2's own `SAM2ImagePredictor`; see `stock_model`."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    logging.getLogger().setLevel(logging.WARNING)  # it logs each image
    predictor = SAM2ImagePredictor(stock_model(base, network))
    # The predictor has fixed sizes for an input of 1024.
    side = network.input_size
    predictor._bb_feat_sizes = [(side // stride, side // stride) for stride in (4, 8, 16)]
    return predictor


def stock_features(model: Any, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Encode a batch with SAM 2's own code: the coarse features, and the two finer ones."""
    _, levels, _, sizes = model._prepare_backbone_features(model.forward_image(images))
    levels[-1] = levels[-1] + model.no_mem_embed
    fine, middle, coarse = (
        level.permute(1, 2, 0).view(len(images), -1, *size)
        for level, size in zip(levels, sizes, strict=True)
    )
    return coarse, [fine, middle]


def stock_prediction(
    model: Any, features: tuple[Tensor, list[Tensor]], points: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Predict a batch of points `(B, N, 2)`: logits `(B, 1, n, n)` and predicted IoU `(B, 1)`."""
    coarse, finer = features
    sparse, dense = model.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)
    logits, iou, _, _ = model.sam_mask_decoder(
        image_embeddings=coarse,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
        repeat_image=False,
        high_res_features=finer,
    )
    return logits, iou


def stock_mask(predictor: Any, point: tuple[float, float]) -> NDArray[np.float32]:
    """Predict one point with SAM 2's predictor: `(H, W)`, 1 on the target."""
    masks, _, _ = predictor.predict(
        point_coords=np.array([point]), point_labels=np.array([1]), multimask_output=False
    )
    mask: NDArray[np.float32] = masks[0]
    return mask
