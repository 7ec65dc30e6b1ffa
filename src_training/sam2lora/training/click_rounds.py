"""Train the click refiner: simulated clicks on a batch, its corrections, and their loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sam2lora.models.click_refiner import LARGEST_MARGIN, ClickRefiner, click_maps
from sam2lora.models.sam2_image_model import normalize
from sam2lora.prompts.error_clicks import ErrorRegion, largest_errors, sample_region
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.training.click_samples import ClickSample
from sam2lora.types import Mask

_CANDIDATES = 12  # regions of a window that a click can be in
_SMALLEST = 4  # pixels; smaller regions are noise of the reference
_NEAR = 40  # network pixels around a region in which its correction may change something
_HARM = 0.6  # weight of a pixel that is spoiled, and
_MISSED = 0.4  # of one of the region that stays wrong
_STEEPNESS = 2.0  # of the soft step at the threshold: small margins count as a change too
_FAR = 0.5  # weight of any change far away
_ANYWHERE = 1.0  # weight of the proposal in the whole window, from which it learns the structures
_APART = 160  # network pixels between clicks of one round: none may reach what another changes
_MIDDLE = 0.5  # share of the clicks in the middle of their region


@dataclass(frozen=True, eq=False)
class RoundResult:
    """The corrections of one round.

    Attributes
    ----------
    loss
        Scalar.
    margins
        `(B, 1, S, S)`, the corrected predictions, without gradient.
    honoured, mended, harm
        Means over the batch: clicked pixels that are right; share of the clicked regions that
        became right; share of the pixels near them that were right and are wrong.
    """

    loss: Tensor
    margins: Tensor
    honoured: float
    mended: float
    harm: float


class ClickRounds:
    """One batch, corrected in rounds as by a user, but at several places at once.

    Parameters
    ----------
    samples
        The batch; samples without an error large enough are left out.
    rng
        Random generator of the clicks.
    """

    def __init__(self, samples: Sequence[ClickSample], rng: np.random.Generator) -> None:
        self._rng = rng
        usable = [s for s in samples if _regions(s.margins, s.mask, s.valid)]
        self._samples = usable
        self._clicks: list[list[PointPrompt]] = [[] for _ in usable]
        if not usable:
            return
        self._images = torch.cat([normalize(sample.pixels)[None] for sample in usable])
        self._masks = torch.from_numpy(np.stack([s.mask for s in usable]))[:, None]
        self._valid = torch.from_numpy(np.stack([s.valid for s in usable]))[:, None]
        self._margins = torch.from_numpy(np.stack([s.margins for s in usable]))[:, None]

    def __len__(self) -> int:
        return len(self._samples)

    def correct(
        self, refiner: ClickRefiner, *, device: torch.device, places: int = 1
    ) -> RoundResult:
        """Click in each sample, and correct it.

        Parameters
        ----------
        refiner
            The network, on `device`.
        device
            Where to compute.
        places
            How many regions of a sample are clicked at most.
        """
        clicked = [self._click(number, places) for number in range(len(self))]
        size = self._images.shape[-1]
        maps = torch.stack(
            [
                _maps(clicks, size, newest=count)
                for clicks, (_, count) in zip(self._clicks, clicked, strict=True)
            ]
        )
        region = torch.stack([found for found, _ in clicked])
        images, before, masks, valid, region, maps = (
            values.to(device)
            for values in (
                self._images,
                self._margins,
                self._masks,
                self._valid,
                region,
                maps,
            )
        )
        proposed, gate = refiner.propose(images, before, maps)
        newest = [
            clicks[len(clicks) - count :]
            for clicks, (_, count) in zip(self._clicks, clicked, strict=True)
        ]
        result = _result(proposed, gate, before, masks, valid, region, newest)
        self._margins = result.margins.cpu()
        return result

    def _click(self, number: int, places: int) -> tuple[Tensor, int]:
        """Click in one sample; return the regions `(1, S, S)` that are clicked, and how many."""
        sample = self._samples[number]
        region = torch.zeros(1, *sample.mask.shape, dtype=torch.bool)
        found = _regions(self._margins[number, 0].numpy(), sample.mask, sample.valid)
        made: list[PointPrompt] = []
        while found and len(made) < places:
            chosen = sample_region(found, self._rng)
            found.remove(chosen)
            click = chosen.click(None if self._rng.random() < _MIDDLE else self._rng)
            if any(max(abs(click.x - m.x), abs(click.y - m.y)) < _APART for m in made):
                continue
            made.append(click)
            region[0, chosen.rows, chosen.columns] |= torch.from_numpy(chosen.mask)
        self._clicks[number] += made
        return region, len(made)


def _regions(margins: np.ndarray, mask: Mask, valid: Mask) -> list[ErrorRegion]:
    found = largest_errors(margins >= 0, mask, _CANDIDATES, valid=valid)
    return [region for region in found if region.area >= _SMALLEST]


def _maps(clicks: Sequence[PointPrompt], size: int, *, newest: int) -> Tensor:
    points = torch.tensor([(click.x, click.y) for click in clicks])
    labels = torch.tensor([click.positive for click in clicks])
    maps = click_maps(points, labels, size, newest=max(newest, 1))
    if not newest:  # corrected already: nothing is to change
        maps[2] = 0
    return maps


def _result(
    proposed: Tensor,
    gate: Tensor,
    before: Tensor,
    masks: Tensor,
    valid: Tensor,
    region: Tensor,
    clicks: Sequence[Sequence[PointPrompt]],
) -> RoundResult:
    limited = before.clamp(-LARGEST_MARGIN, LARGEST_MARGIN)
    refined = limited + gate * (proposed - limited)
    side = 2 * _NEAR + 1
    wide = F.max_pool2d(region.float(), (side, 1), stride=1, padding=(_NEAR, 0))
    near = (F.max_pool2d(wide, (1, side), stride=1, padding=(0, _NEAR)) > 0) & valid
    right = ((before >= 0) == masks) & valid
    truth = masks.float()
    entropy = F.binary_cross_entropy_with_logits(refined, truth, reduction="none")
    anywhere = F.binary_cross_entropy_with_logits(proposed, truth, reduction="none")
    loss = (
        _change_loss(limited, refined, masks, right, region)
        + _mean(entropy, near)
        + _FAR * _mean((refined - limited).abs(), valid & ~near)
        + _ANYWHERE * (_mean(anywhere, valid) + _mean(anywhere, masks & valid))
    )
    correct = (refined >= 0) == masks
    clicked = region.any((1, 2, 3))  # what is right already has no region
    honoured = [
        float(correct[number, 0, round(click.y), round(click.x)])
        for number, made in enumerate(clicks)
        for click in made
    ]
    return RoundResult(
        loss,
        refined.detach(),
        float(np.mean(honoured or [1.0])),
        float(_mean(correct.float(), region)) * len(region) / max(1, int(clicked.sum())),
        float(_mean((~correct).float(), right & near)),
    )


def _change_loss(
    before: Tensor, after: Tensor, masks: Tensor, right: Tensor, region: Tensor
) -> Tensor:
    """Return the Tversky loss of what was changed against the regions that were to be changed.

    A spoiled pixel costs about what a mended one gains, however small the region is: a mean over
    the region beside one over its surroundings would favor drawing too much.
    """
    signs = torch.where(masks, _STEEPNESS, -_STEEPNESS)
    was, now = torch.sigmoid(signs * before), torch.sigmoid(signs * after)
    mended = (now * region).sum((1, 2, 3))
    missed = ((1 - now) * region).sum((1, 2, 3))
    spoiled = ((was - now).clamp(min=0) * right).sum((1, 2, 3))
    losses = 1 - (mended + 1) / (mended + _MISSED * missed + _HARM * spoiled + 1)
    return losses[region.any((1, 2, 3))].sum() / len(losses)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean over the samples of their means where `where`; 0 where there is nothing."""
    count = where.sum((1, 2, 3))
    return ((values * where).sum((1, 2, 3)) / count.clamp(min=1)).mean()
