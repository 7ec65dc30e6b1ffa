from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sam2lora.compute.device import autocast, release_memory
from sam2lora.errors import GeometryError
from sam2lora.models.detail_head import DetailHead, enlarge
from sam2lora.models.loading import build_network
from sam2lora.models.normalization import normalize
from sam2lora.models.outputs import ImageEmbedding
from sam2lora.models.registry import BASE_MODELS
from sam2lora.models.sam2_image_model import Sam2ImageModel
from sam2lora.models.weights import fit_weights, weights_digest
from sam2lora.prompts.prompt_batch import PromptBatch, mask_to_logits
from sam2lora.settings import DetailHeadSettings

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def networks(stock_sam2) -> Callable[[str], Sam2ImageModel]:
    """Return a function that builds our network with the weights of a stock model."""

    def build(name: str) -> Sam2ImageModel:
        network = build_network(BASE_MODELS[name])
        fit_weights(network, stock_sam2(name).state_dict(), Path("stock"))
        return network

    return build


@pytest.fixture(scope="module")
def nano(networks) -> Sam2ImageModel:
    return networks("nano")


def picture(size: int, seed: int = 0) -> np.ndarray:
    """Draw soft colored blobs with noise: `(size, size, 3)` uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(2, 9, (3, 3))]
    pixels = 128 + 80 * np.stack(waves, axis=-1) + rng.normal(0, 15, (size, size, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def blob(size: int) -> Tensor:
    """Return a painted mask as logits, `(1, 1, size, size)`."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    inside = (x - size * 0.4) ** 2 + (y - size * 0.6) ** 2 < (size * 0.2) ** 2
    return mask_to_logits(inside[None, None], size=size)


def one_of_each(size: int) -> dict[str, PromptBatch]:
    """Return one prompt of each kind for an image of `size`."""
    points = {"points": [(size * 0.4, size * 0.6), (size * 0.9, 3.25)], "labels": [1, 0]}
    box = {"box": (size * 0.2, size * 0.35, size * 0.6, size * 0.8)}
    mask = {"mask_logits": blob(size // 4)[0, 0]}
    return {
        "points": PromptBatch.single(**points),
        "box": PromptBatch.single(**box),
        "both": PromptBatch.single(**points, **box),
        "points + mask": PromptBatch.single(**points, **mask),
        "none": PromptBatch.none(1),
        "mask": PromptBatch.single(**mask),
    }


@torch.inference_mode()
def stock_predictor(model, pixels: np.ndarray):
    """Return stock SAM 2's image predictor with an image set."""
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(model)
    # The predictor has the sizes of a 1024 input built in.
    predictor._bb_feat_sizes = [(pixels.shape[0] // stride,) * 2 for stride in (4, 8, 16)]
    predictor.set_image(pixels)
    return predictor


@torch.inference_mode()
def stock_prediction(predictor, prompt: PromptBatch, multimask: bool) -> tuple[Tensor, Tensor]:
    """Predict with stock SAM 2; with its heads where its predictor has no such prompt."""
    has_points = prompt.points.shape[1] > 0
    if not has_points and prompt.boxes is None:
        logits, _, iou, *_ = predictor.model._forward_sam_heads(
            backbone_features=predictor._features["image_embed"],
            mask_inputs=prompt.mask_logits,
            high_res_features=predictor._features["high_res_feats"],
            multimask_output=multimask,
        )
        return logits, iou
    _, iou, logits = predictor.predict(
        point_coords=prompt.points[0].numpy() if has_points else None,
        point_labels=prompt.labels[0].numpy() if has_points else None,
        box=None if prompt.boxes is None else prompt.boxes[0].numpy(),
        mask_input=None if prompt.mask_logits is None else prompt.mask_logits[0].numpy(),
        multimask_output=multimask,
        return_logits=True,
    )
    return torch.from_numpy(logits)[None], torch.from_numpy(iou)[None]


@pytest.mark.parametrize("name", ["nano", pytest.param("tiny", marks=pytest.mark.slow)])
def test_predictions_equal_those_of_stock_sam2(name: str, networks, stock_sam2):
    network = networks(name)
    pixels = picture(network.input_size)
    predictor = stock_predictor(stock_sam2(name), pixels)
    with torch.inference_mode():
        embedding = network.encode(normalize(pixels)[None])
    for kind, prompt in one_of_each(network.input_size).items():
        for multimask in (False, True):
            logits, iou = stock_prediction(predictor, prompt, multimask)
            with torch.inference_mode():
                mine = network.decode(embedding, prompt, multimask=multimask)
            assert logits.std() > 0.1, "constant logits would prove nothing"
            assert logits.abs().max() < 32, "the stock predictor clamps at 32"
            assert mine.logits.shape == logits.shape
            assert (mine.logits - logits).abs().max() < TOLERANCE, kind
            assert (mine.iou - iou).abs().max() < TOLERANCE, kind


def test_each_ingredient_of_parity_changes_the_prediction(nano: Sam2ImageModel):
    image = normalize(picture(512))[None]
    prompt = one_of_each(512)["points"]
    with torch.inference_mode():
        embedding = nano.encode(image)
        right = nano.decode(embedding, prompt).logits
        without = ImageEmbedding(
            embedding.image_embed - nano.no_mem_embed.view(1, -1, 1, 1),
            embedding.fine,
            embedding.middle,
        )
        assert (nano.decode(without, prompt).logits - right).abs().max() > 100 * TOLERANCE
        moved = PromptBatch(prompt.points + 4, prompt.labels)
        assert (nano.decode(embedding, moved).logits - right).abs().max() > 10 * TOLERANCE


@pytest.fixture(scope="module")
def embedding(nano: Sam2ImageModel) -> ImageEmbedding:
    """Return the embeddings of three images."""
    images = normalize(np.stack([picture(512, seed) for seed in range(3)]))
    with torch.inference_mode():
        return nano.encode(images)


def some_points(batch: int) -> PromptBatch:
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(batch, 2, 2, generator=generator) * 511
    return PromptBatch(points, torch.tensor([[1, 0]]).expand(batch, 2))


@torch.inference_mode()
def test_batch_of_prompts_equals_single_prompts(nano: Sam2ImageModel, embedding: ImageEmbedding):
    prompts = some_points(4)
    together = nano.decode(embedding[0], prompts)
    assert together.logits.shape == (4, 1, 128, 128)
    for i in range(4):
        alone = nano.decode(embedding[0], prompts[i])
        torch.testing.assert_close(together.logits[i : i + 1], alone.logits, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_each_image_of_a_batch_gets_its_own_prompt(nano: Sam2ImageModel, embedding: ImageEmbedding):
    prompts = some_points(3)
    together = nano.decode(embedding, prompts).logits
    for i in range(3):
        alone = nano.decode(embedding[i], prompts[i]).logits
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=0)
    changed = ImageEmbedding.cat([embedding[1], embedding[1], embedding[2]])
    logits = nano.decode(changed, prompts).logits
    assert not torch.allclose(logits[0], together[0], atol=1e-3)
    torch.testing.assert_close(logits[1:], together[1:], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_forward_accepts_images_or_embeddings(nano: Sam2ImageModel, embedding: ImageEmbedding):
    image = normalize(picture(512, 0))[None]
    prompts = some_points(1)
    torch.testing.assert_close(
        nano(image, prompts, multimask=True).logits,
        nano(embedding[0], prompts, multimask=True).logits,
        atol=1e-4,
        rtol=0,
    )


@torch.inference_mode()
def test_half_precision_embeddings_predict_nearly_the_same(
    nano: Sam2ImageModel, embedding: ImageEmbedding
):
    prompts = some_points(1)
    full = nano.decode(embedding[0], prompts).logits
    half = embedding[0].to(dtype=torch.float16)
    assert half.nbytes() == embedding[0].nbytes() // 2
    logits = nano.decode(half, prompts).logits
    assert logits.dtype == torch.float32
    assert (logits - full).abs().max() < 0.02 * full.std()


def test_mismatched_sizes_are_refused(nano: Sam2ImageModel, embedding: ImageEmbedding):
    with pytest.raises(GeometryError, match=r"\(B, 3, 512, 512\), not \(1, 3, 1024, 1024\)"):
        nano.encode(torch.zeros(1, 3, 1024, 1024))
    with pytest.raises(GeometryError, match="normalized"):
        nano.encode(torch.zeros(1, 3, 512, 512, dtype=torch.uint8))
    with pytest.raises(GeometryError, match="3 images for 2 prompts"):
        nano.decode(embedding, PromptBatch.none(2))
    wrong = PromptBatch.single(mask_logits=np.zeros((64, 64)))
    with pytest.raises(GeometryError, match="128 x 128 for this network, not 64 x 64"):
        nano.decode(embedding[0], wrong)


def with_head(network: Sam2ImageModel, *, trained: bool = True) -> Sam2ImageModel:
    """Attach a detail head, whose residual is zero unless it is `trained`."""
    torch.manual_seed(0)
    head = DetailHead(DetailHeadSettings(), embedding_channels=network.decoder_channels)
    if trained:
        torch.nn.init.normal_(head.last.weight, std=0.1)
    network.attach_detail_head(head)
    return network


@torch.no_grad()
@pytest.mark.parametrize("multimask", [False, True])
def test_an_untrained_detail_head_enlarges_the_same_logits(networks, multimask: bool):
    network, image = networks("nano"), normalize(picture(512))[None]
    for kind, prompt in one_of_each(512).items():
        before = network(image, prompt, multimask=multimask)
        assert before.low_res_logits is before.logits
        after = with_head(network, trained=False)(image, prompt, multimask=multimask)
        first, others = before.logits[:, :1], before.logits[:, 1:]
        assert torch.equal(after.logits[:, :1], enlarge(first, 512)), kind
        if multimask:
            assert torch.equal(after.logits[:, 1:], enlarge(others, 512))
        assert torch.equal(after.low_res_logits, before.logits)
        assert torch.equal(after.iou, before.iou)
        network.attach_detail_head(None)


@torch.no_grad()
def test_a_detail_head_changes_the_first_mask_at_full_size(networks):
    network, image = networks("nano"), normalize(picture(512))[None]
    coarse = network(image, some_points(1), multimask=True)
    fine = with_head(network)(image, some_points(1), multimask=True)
    assert fine.logits.shape == (1, 3, 512, 512)
    assert not torch.equal(fine.logits[:, :1], enlarge(coarse.logits[:, :1], 512))
    assert torch.equal(fine.logits[:, 1:], enlarge(coarse.logits[:, 1:], 512))
    assert torch.equal(fine.low_res_logits, coarse.logits), "what a next prompt takes"
    several = network.decode(network.encode(image), some_points(3))
    assert several.logits.shape == (3, 1, 512, 512)


def test_a_detail_head_is_no_part_of_the_base(networks):
    network = networks("nano")
    names, digest = set(network.state_dict()), weights_digest(network)
    with_head(network)
    assert set(network.state_dict()) == names
    assert weights_digest(network) == digest
    assert network.detail_head is not None
    assert not network.detail_head.training, "as the network it is attached to"
    network(normalize(picture(512))[None], some_points(1))
    assert not network.sam_mask_decoder.output_upscaling[-1]._forward_hooks, "no hook stays"
    network.attach_detail_head(None)
    assert not [name for name, _ in network.named_parameters() if "detail_head" in name]


@torch.no_grad()
def test_only_with_a_detail_head_does_an_embedding_hold_the_pixels(networks):
    network, pixels = networks("nano"), np.stack([picture(512, seed) for seed in range(2)])
    without = network.encode(normalize(pixels))
    assert without.pixels is None
    assert without.nbytes() == 2 * network.embedding_bytes
    embedding = with_head(network).encode(normalize(pixels))
    assert torch.equal(embedding.pixels, torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert embedding.nbytes() == 2 * (network.embedding_bytes + network.pixel_bytes)
    half = ImageEmbedding.cat([embedding[1], embedding[0].clone()]).to(dtype=torch.float16)
    assert half.fine.dtype == torch.float16
    assert torch.equal(half.pixels, embedding.pixels.flip(0)), "uint8 in any precision"
    with pytest.raises(GeometryError, match="holds no pixels"):
        network.decode(without, some_points(2))
    network.attach_detail_head(None)
    with pytest.raises(GeometryError, match="No detail head"):
        network.refine(network.decode_coarse(embedding, some_points(2)))


def test_gradients_reach_encoder_and_decoder(networks):
    network = networks("nano")
    encoder = network.image_encoder.trunk.blocks[0].attn.qkv.weight.requires_grad_()
    decoder = network.sam_mask_decoder.transformer.layers[0].self_attn.q_proj.weight
    decoder.requires_grad_()
    network(normalize(picture(512))[None], some_points(1)).logits.mean().backward()
    assert encoder.grad.abs().sum() > 0
    assert decoder.grad.abs().sum() > 0


@torch.inference_mode()
def test_points_stay_exact_in_half_precision(nano: Sam2ImageModel, embedding: ImageEmbedding):
    device = torch.device("cpu")
    here = PromptBatch.single(points=[(400.0, 300.0)], labels=[1])
    there = PromptBatch.single(points=[(400.5, 300.0)], labels=[1])
    with autocast(device, "bfloat16"):
        tokens = [nano._embed(prompts)[0] for prompts in (here, there)]
        output = nano.decode(embedding[0], here)
    assert tokens[0].dtype == torch.float32
    assert not torch.equal(*tokens)
    full = nano.decode(embedding[0], here)
    assert output.logits.dtype == output.iou.dtype == torch.float32
    assert (output.logits - full.logits).abs().max() < 0.2 * full.logits.std()


@pytest.mark.gpu
@torch.inference_mode()
def test_gpu_predicts_as_the_cpu(networks):
    cpu, gpu = networks("nano"), networks("nano").to("cuda")
    image = normalize(picture(512))[None]
    for prompt in one_of_each(512).values():
        expected = cpu(image, prompt).logits
        found = gpu(image.to("cuda"), prompt.to("cuda")).logits.cpu()
        assert (found - expected).abs().max() < 1e-2 * expected.std()
        with autocast(torch.device("cuda"), "bfloat16"):
            rough = gpu(image.to("cuda"), prompt.to("cuda")).logits.cpu()
        assert (rough - expected).abs().max() < 0.3 * expected.std()


@pytest.mark.gpu
def test_gpu_memory_is_released(networks):
    device = torch.device("cuda")
    empty = torch.cuda.memory_allocated()
    network = networks("nano").to(device)
    image, prompts = normalize(picture(512))[None].to(device), PromptBatch.none(1).to(device)
    loaded = []
    for _ in range(4):
        with torch.inference_mode():
            network(image, prompts)
        loaded.append(torch.cuda.memory_allocated())
    assert loaded[1:] == loaded[:1] * 3
    network, image, prompts = network.cpu(), image.cpu(), prompts.to("cpu")
    release_memory(device)
    # What CUDA's matrix library keeps for itself stays.
    assert torch.cuda.memory_allocated() - empty < 2**25
