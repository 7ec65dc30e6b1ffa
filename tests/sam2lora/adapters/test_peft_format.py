import re

import pytest

from sam2lora.adapters.peft_format import (
    HEADS,
    PREFIX,
    TARGET_MODULES,
    check_names,
    check_shapes,
    part_of,
    peft_config,
)
from sam2lora.errors import AdapterError
from sam2lora.settings import LoraSettings

LORA = LoraSettings(rank=4, alpha=8)
QKV = PREFIX + "image_encoder.trunk.blocks.0.attn.qkv"
GOOD = {f"{QKV}.lora_A.weight": (4, 32), f"{QKV}.lora_B.weight": (96, 4)}


def placed(placement: str, names: list[str]) -> list[str]:
    return [name for name in names if re.fullmatch(TARGET_MODULES[placement], name)]


def test_placements_are_the_papers_more_and_less():
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
def test_nothing_else_of_a_stock_model_is_placed(placement: str):
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


def test_the_skips_of_the_mask_decoder_count_as_encoder():
    parts = {head.rpartition("decoder.")[2]: part_of(head) for head in HEADS}
    assert parts == {
        "output_upscaling.0": "decoder",
        "output_upscaling.1": "decoder",
        "output_upscaling.3": "decoder",
        "conv_s0": "encoder",
        "conv_s1": "encoder",
    }
    assert part_of(f"{QKV}.lora_A.weight") == "encoder"
    assert part_of("sam_mask_decoder.transformer.layers.0.self_attn.q_proj") == "decoder"


def test_the_configuration_is_one_peft_understands():
    from peft import LoraConfig

    asked = peft_config(LoraSettings(rank=4, alpha=8, dropout=0.2, train_heads=True))
    config = LoraConfig(**asked)
    understood = config.to_dict()
    assert {name: understood[name] for name in asked} == asked
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.2)
    assert config.modules_to_save == list(HEADS)


def test_tensors_of_lora_pass():
    check_names(GOOD, LORA, "it")
    heads = {f"{PREFIX}{HEADS[3]}.weight": (16, 128, 1, 1)}
    check_names(GOOD | heads, LORA.model_copy(update={"train_heads": True}), "it")


@pytest.mark.parametrize(
    ("tensors", "words"),
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
def test_other_tensors_are_refused_by_name(tensors: dict, words: str):
    with pytest.raises(AdapterError, match=words):
        check_names(tensors, LORA, "it")


def test_tensors_that_do_not_fit_a_network_are_named():
    expected = dict(GOOD)
    check_shapes(GOOD, expected, "it")
    with pytest.raises(AdapterError, match=r"lora_A.*no such tensor, the network shape \(4, 32\)"):
        check_shapes({f"{QKV}.lora_B.weight": (96, 4)}, expected, "it")
    with pytest.raises(AdapterError, match=r"'other' the adapter has shape \(1,\).*no such tensor"):
        check_shapes(GOOD | {"other": (1,)}, expected, "it")
    with pytest.raises(AdapterError, match=r"shape \(48, 4\), the network shape \(96, 4\)"):
        check_shapes(GOOD | {f"{QKV}.lora_B.weight": (48, 4)}, expected, "it")
