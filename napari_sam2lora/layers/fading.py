"""Layers that are shown faded while they are out of date."""

from collections.abc import Container
from typing import NamedTuple

from napari.layers import Layer


class _Opacities(NamedTuple):
    before: float
    faded: float


class FadedLayers:
    """Layers that are faded, and the opacity that each had before.

    Parameters
    ----------
    share
        The share of its opacity that is left to a faded layer.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._opacities: dict[Layer, _Opacities] = {}

    def set_faded(self, layer: Layer, *, faded: bool) -> None:
        """Fade a layer, or show it as before; an opacity that the user set meanwhile stays."""
        if (layer in self._opacities) == faded:
            return
        if faded:
            before = layer.opacity
            layer.opacity = before * self._share
            self._opacities[layer] = _Opacities(before, layer.opacity)
        else:
            opacities = self._opacities.pop(layer)
            if layer.opacity == opacities.faded:
                layer.opacity = opacities.before

    def restore(self, *, but: Container[Layer | None] = ()) -> None:
        """Show all layers as before, except those in `but`."""
        for layer in [one for one in self._opacities if one not in but]:
            self.set_faded(layer, faded=False)
