import re

import pytest

from sam2lora.adapters.peft_format import (
    HEADS,
    PREFIX,
    TARGET_MODULES,
    check_names,
    check_shapes,
    network_part,
    peft_config,
)
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings

LORA = LoraSettings(rank=4, alpha=8)
QKV = PREFIX + "image_encoder.trunk.blocks.0.attn.qkv"
GOOD = {f"{QKV}.lora_A.weight": (4, 32), f"{QKV}.lora_B.weight": (96, 4)}


def placed(placement: str, names: list[str]) -> list[str]:
    return [name for name in names if re.fullmatch(TARGET_MODULES[placement], name)]


def test_placements_select_the_documented_modules():
    encoder = [f"image_encoder.trunk.blocks.11.{end}" for end in ("attn.qkv", "attn.proj")]
    encoder += [f"image_encoder.trunk.blocks.3.mlp.layers.{i}" for i in (0, 1)]
    layer = "sam_mask_decoder.transformer.layers.1"
    decoder = [
        f"{layer}.self_attn.q_proj",
        f"{layer}.cross_attn_image_to_token.v_proj",
        "sam_mask_decoder.transformer.final_attn_token_to_image.out_proj",
    ]
    mlp = f"{layer}.mlp.layers.1"
    names = [*encoder, *decoder, mlp]
    assert placed("attention", names) == [encoder[0], *decoder]
    assert placed("decoder", names) == decoder
    assert placed("wide", names) == names


@pytest.mark.parametrize("placement", TARGET_MODULES)
def test_placements_select_no_memory_module_of_stock_sam2(placement: str):
    others = [
        "memory_attention.layers.0.self_attn.q_proj",
        "memory_attention.layers.0.cross_attn_image.out_proj",
        "image_encoder.trunk.blocks.3.proj",
        "image_encoder.neck.convs.0.conv",
        "sam_mask_decoder.iou_prediction_head.layers.0",
        "sam_mask_decoder.output_hypernetworks_mlps.0.layers.0",
        "sam_prompt_encoder.mask_downscaling.0",
        "image_encoder.trunk.blocks.0.attn.qkv.base_layer",
    ]
    assert placed(placement, others) == []


def test_skip_convolutions_of_the_decoder_belong_to_the_encoder():
    parts = {head.rpartition("decoder.")[2]: network_part(head) for head in HEADS}
    assert parts == {
        "output_upscaling.0": "decoder",
        "output_upscaling.1": "decoder",
        "output_upscaling.3": "decoder",
        "conv_s0": "encoder",
        "conv_s1": "encoder",
    }
    assert network_part(f"{QKV}.lora_A.weight") == "encoder"
    assert network_part("sam_mask_decoder.transformer.layers.0.self_attn.q_proj") == "decoder"


def test_peft_reads_the_configuration():
    from peft import LoraConfig

    written = peft_config(LoraSettings(rank=4, alpha=8, dropout=0.2, train_heads=True))
    config = LoraConfig(**written)
    understood = config.to_dict()
    assert {name: understood[name] for name in written} == written
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.2)
    assert config.modules_to_save == list(HEADS)


def test_lora_tensors_are_accepted():
    check_names(GOOD, LORA, "it")
    heads = {f"{PREFIX}{HEADS[3]}.weight": (16, 128, 1, 1)}
    check_names(GOOD | heads, LORA.model_copy(update={"train_heads": True}), "it")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "it: .*all LoRA tensors are missing"),
        ({f"{QKV}.lora_A.weight": (4, 32)}, "half of .*blocks.0.attn.qkv"),
        (GOOD | {f"{QKV}.lora_A.weight": (8, 32)}, r"shape \(8, 32\).*rank 4"),
        (GOOD | {f"{QKV}.lora_B.weight": (96, 8)}, r"shape \(96, 8\).*rank 4"),
        (GOOD | {f"{QKV}.lora_B.weight": (96, 4, 1)}, r"\(96, 4, 1\)"),
        (GOOD | {f"{PREFIX}{HEADS[3]}.weight": (16, 128)}, "conv_s0"),
        (GOOD | {f"{PREFIX}sam_mask_decoder.conv_s09.weight": (16, 128)}, "conv_s09"),
        (GOOD | {f"{QKV}.weight": (96, 32)}, "qkv.weight"),
        (GOOD | {"optimizer": (1,)}, "'optimizer'"),
        ({name.removeprefix(PREFIX): shape for name, shape in GOOD.items()}, "does not have"),
        (GOOD | {f"{QKV[:-3]}proj.lora_A.weight": (4, 32)}, "'attention' does not have"),
    ],
)
def test_unexpected_tensor_is_named(tensors: dict, message: str):
    with pytest.raises(AdapterError, match=message):
        check_names(tensors, LORA, "it")


def test_tensor_that_does_not_fit_the_network_is_named():
    expected = dict(GOOD)
    check_shapes(GOOD, expected, "it")
    with pytest.raises(AdapterError, match=r"lora_A.*no such tensor, the network shape \(4, 32\)"):
        check_shapes({f"{QKV}.lora_B.weight": (96, 4)}, expected, "it")
    with pytest.raises(AdapterError, match=r"'other' the adapter has shape \(1,\).*no such tensor"):
        check_shapes(GOOD | {"other": (1,)}, expected, "it")
    with pytest.raises(AdapterError, match=r"shape \(48, 4\), the network shape \(96, 4\)"):
        check_shapes(GOOD | {f"{QKV}.lora_B.weight": (48, 4)}, expected, "it")
