"""What the viewer and the folders have together, each photograph once."""

from collections.abc import Sequence
from dataclasses import replace

from napari_sam2lora.training.data.folder_pairs import FilePair
from napari_sam2lora.training.data.pairs import Pair
from napari_sam2lora.training.data.viewer_pairs import LayerPair


def propose(loaded: Sequence[LayerPair], listed: Sequence[FilePair]) -> list[Pair]:
    """Put pairs into one list: of a photograph in both, the layer counts, which is the newer one.

    While the layer is as it was read or saved, it is proposed only if its file would be.

    Parameters
    ----------
    loaded
        Of the viewer.
    listed
        Of any number of folders, which may overlap.
    """
    usable = {one.file for one in loaded if one.file and not one.refused}
    files: dict[str, FilePair] = {}
    for pair in listed:
        files.setdefault(pair.file, pair)
    # Where a folder has labels of an image, the layer without is of no use.
    shown = [one for one in loaded if one.layer is not None or one.file not in files]
    rest = [one for file, one in files.items() if file not in usable]
    return [*(_as_listed(one, files.get(one.file)) for one in shown), *rest]


def _as_listed(pair: LayerPair, listed: FilePair | None) -> LayerPair:
    if listed is None or pair.changed:
        return pair
    return replace(pair, proposed=pair.proposed and listed.proposed)
