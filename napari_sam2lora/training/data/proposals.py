"""The pairs of the viewer and of the folders in one list, each image once."""

from collections.abc import Sequence
from dataclasses import replace

from napari_sam2lora.training.data.folder_pairs import FilePair
from napari_sam2lora.training.data.pairs import Pair
from napari_sam2lora.training.data.viewer_pairs import LayerPair


def merge_pairs(open_pairs: Sequence[LayerPair], folder_pairs: Sequence[FilePair]) -> list[Pair]:
    """Return all pairs in one list; of an image in both, the layer is used, which is newer.

    While the mask in the layer is as it was read or saved, the pair is preselected only if that of
    the file would be.

    Parameters
    ----------
    open_pairs
        Pairs of the viewer.
    folder_pairs
        Pairs of any number of folders, which may overlap.
    """
    usable = {pair.file for pair in open_pairs if pair.file and pair.usable}
    files: dict[str, FilePair] = {}
    for pair in folder_pairs:
        files.setdefault(pair.file, pair)
    # Where a folder has a mask for an image, its layer without one is of no use.
    shown = [pair for pair in open_pairs if pair.layer is not None or pair.file not in files]
    rest = [pair for file, pair in files.items() if file not in usable]
    return [*(_preselected_as(files.get(pair.file), pair) for pair in shown), *rest]


def _preselected_as(file_pair: FilePair | None, pair: LayerPair) -> LayerPair:
    if file_pair is None or pair.changed:
        return pair
    return replace(pair, preselected=pair.preselected and file_pair.preselected)
