"""What the viewer and the folders have together, each photograph once."""

from collections.abc import Sequence

from napari_sam2lora.training.folder_pairs import FilePair
from napari_sam2lora.training.pairs import Pair
from napari_sam2lora.training.viewer_pairs import LayerPair


def propose(loaded: Sequence[LayerPair], listed: Sequence[FilePair]) -> list[Pair]:
    """Put pairs into one list: of a photograph in both, the layer counts, which is the newer one.

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
        if pair.file not in usable:
            files.setdefault(pair.file, pair)
    # Where a folder has labels of an image, the layer without is of no use.
    shown = [one for one in loaded if one.layer is not None or one.file not in files]
    return [*shown, *files.values()]
