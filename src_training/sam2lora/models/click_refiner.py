"""The click refiner: a small convolutional network that corrects a prediction where a user clicks.

It sees the image, the prediction before and the clicks, and nothing of SAM 2, so that it serves any
base model, any adapter and any target. It learns from errors of predictions, and to leave alone
what was right.
"""

from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam2lora.errors import ModelError
from sam2lora.models.detail_head import ConvBlock, enlarge, local_contrast

RefinerKind = Literal["fine", "compact"]
"""What a refiner corrects: fine structures, as vessels are, or compact ones."""

LARGEST_MARGIN = 8.0
"""Logits relative to the threshold are limited to this."""

CLICK_RADIUS = 4
"""Radius in network pixels of the disk that stands for a click."""

_CHANNELS = (24, 32, 48, 64)
_PLANES = 8  # red, green, blue, contrast, margins, clicks on and off the target, newest click
_MARGIN_SCALE = 4.0


class ClickRefiner(nn.Module):
    """A U-shaped network at a half to a sixteenth of the input's resolution.

    Untrained, it returns the margins that it is given.

    Parameters
    ----------
    channels
        Channels of each level, from a half of the resolution to a sixteenth.
    """

    def __init__(self, channels: tuple[int, ...] = _CHANNELS) -> None:
        super().__init__()
        inputs = (4 * _PLANES, *channels)
        self.down = nn.ModuleList(
            nn.Sequential(ConvBlock(before, after), ConvBlock(after, after))
            for before, after in zip(inputs, channels, strict=False)
        )
        pairs = list(pairwise(channels))
        self.narrow = nn.ModuleList(nn.Conv2d(after, before, 1) for before, after in pairs)
        self.up = nn.ModuleList(ConvBlock(before, before) for before, _ in pairs)
        self.change = nn.Conv2d(channels[0], 4, 3, padding=1)
        self.gate = nn.Conv2d(channels[0], 4, 3, padding=1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor, margins: Tensor, clicks: Tensor) -> Tensor:
        """Return the corrected margins; the parameters are those of `propose`.

        Returns
        -------
        `(B, 1, S, S)` float32: logits minus the logit of the threshold.
        """
        proposed, gate = self.propose(images, margins, clicks)
        limited = margins.float().clamp(-LARGEST_MARGIN, LARGEST_MARGIN)
        return limited + gate * (proposed - limited)

    def propose(self, images: Tensor, margins: Tensor, clicks: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the margins could be anywhere, and where the clicks ask for it.

        Parameters
        ----------
        images
            `(B, 3, S, S)` float32, normalized; S is a multiple of 16.
        margins
            `(B, 1, S, S)`: logits of the prediction, minus the logit of the threshold.
        clicks
            `(B, 3, S, S)`, from `click_maps`.

        Returns
        -------
        Margins `(B, 1, S, S)` float32, and a gate `(B, 1, S, S)` in 0…1: where it is 0, margins
        stay as they are.
        """
        limited = margins.float().clamp(-LARGEST_MARGIN, LARGEST_MARGIN)
        seen = torch.tanh(limited / _MARGIN_SCALE)
        planes = torch.cat([images, local_contrast(images), seen, clicks], 1)
        # Convolutions are faster with the channels last.
        values = F.pixel_unshuffle(planes, 2).contiguous(memory_format=torch.channels_last)
        levels = []
        for number, block in enumerate(self.down):
            values = block(values if number == 0 else F.avg_pool2d(values, 2))
            levels.append(values)
        for level, narrow, block in zip(
            levels[-2::-1], self.narrow[::-1], self.up[::-1], strict=True
        ):
            values = block(level + enlarge(narrow(values), level.shape[-1]).to(level.dtype))
        change, gate = (
            F.pixel_shuffle(layer(values), 2).float() for layer in (self.change, self.gate)
        )
        return limited + change, gate.sigmoid()


def click_maps(points: Tensor, labels: Tensor, size: int, *, newest: int = 1) -> Tensor:
    """Draw clicks as disks of `CLICK_RADIUS`.

    Parameters
    ----------
    points
        `(N, 2)`, (x, y) in network pixels, in the order of the clicks; at least one.
    labels
        `(N,)`: 1 for clicks on the target, 0 for clicks off it.
    size
        Side S of the network's input in pixels.
    newest
        How many of the clicks, the last ones, are to be obeyed now. In training these are several,
        far from each other.

    Returns
    -------
    `(3, S, S)` float32: 1 at the clicks on the target; 1 at those off it; and the newest clicks
    alone, 1 at those on the target and -1 at those off it.
    """
    ticks = torch.arange(size, dtype=torch.float32, device=points.device)
    x, y = (points[:, axis].float().view(-1, 1, 1) for axis in (0, 1))
    disks = ((ticks - x) ** 2 + (ticks.view(-1, 1) - y) ** 2 <= CLICK_RADIUS**2).float()
    on = labels.view(-1, 1, 1).bool()
    signs = torch.where(on[-newest:], 1.0, -1.0)
    latest = (disks[-newest:] * signs).sum(0).clamp(-1, 1)
    return torch.stack([(disks * on).amax(0), (disks * ~on).amax(0), latest])


def refiner_path(kind: RefinerKind) -> Path:
    """Return the file of a refiner in the package."""
    folder = Path(str(resources.files("sam2lora"))) / "assets" / "click_refiners"
    return folder / f"{kind}.safetensors"


def save_refiner(refiner: ClickRefiner, path: Path, *, notes: dict[str, str]) -> None:
    """Write a refiner's weights in float16.

    Parameters
    ----------
    refiner
        The trained network.
    path
        The file to write.
    notes
        Facts about the training, stored in the file.
    """
    tensors = {
        name: tensor.detach().to("cpu", torch.float16 if tensor.is_floating_point() else None)
        for name, tensor in refiner.state_dict().items()
    }
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(safetensors.torch.save(contiguous, metadata={"format": "pt", **notes}))


def load_refiner(path: Path) -> ClickRefiner:
    """Load a refiner, in evaluation mode, on the CPU in float32.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or holds another network.
    """
    refiner = ClickRefiner()
    try:
        tensors = safetensors.torch.load(path.read_bytes())
        refiner.load_state_dict(
            {name: tensor.to(refiner.state_dict()[name].dtype) for name, tensor in tensors.items()}
        )
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: is damaged, or not a click refiner. Reinstall it.") from error
    return refiner.eval()
