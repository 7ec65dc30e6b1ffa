"""Measure our masks with VascX, and read what it found into a table; needs the extra `vascx`.

VascX (retinalysis) measures calibre, branching angles, and tortuosity by splines; with arteries and
veins also central retinal equivalents. None of its networks runs. Where arteries and veins are not
told apart, all vessels are one tree, which is measured by the features that mean something for it.
"""

import contextlib
import csv
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sam2lora.annotations.vascx import read_for_vascx, save_for_vascx
from sam2lora.cohort.fovea import fovea_of
from sam2lora.cohort.record_row import reason_of
from sam2lora.cohort.table import VASCX, Cells, cell_text, read_table, write_table
from sam2lora.datasets import Record
from sam2lora.errors import OutputError, SettingsError
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.targets import FOVEA
from sam2lora.utils.files import make_folder, read_error
from sam2lora.utils.progress import Progress, no_progress

logger = logging.getLogger(__name__)

FEATURES = "full_v3"
"""Name of VascX's set of features, the one that it recommends."""

_OF_ARTERIES_AND_VEINS = ("CRE", "TemporalAngle")  # classes of features that one tree lacks
_RESULTS = "biomarkers"  # folder with one of VascX's results for each image


def check_installed() -> None:
    """Check that VascX is installed.

    Raises
    ------
    SettingsError
        If it is not.
    """
    try:
        import rtnls_fundusprep  # noqa: F401
        import vascx  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "VascX is not installed: pip install 'napari-sam2lora[vascx]', best in an environment "
            "of its own."
        ) from error


def add_biomarkers(
    records: Sequence[Record], table: Path, folder: Path, *, progress: Progress = no_progress
) -> Mapping[str, str]:
    """Measure the vessels of images with VascX, and add what it found to their rows in a table.

    Parameters
    ----------
    records
        The images with their masks. Those without vessels or disc, those that failed, and those
        that VascX measured before are left out.
    table
        A table that `measure_records` wrote; its new columns begin with `vascx_`.
    folder
        Where VascX's files are written: the images with their masks, and its results.
    progress
        Called with (images done, images in total).

    Returns
    -------
    Images that VascX could not measure, and why.

    Raises
    ------
    OutputError
        If a file cannot be written, or is another kind of table.
    SettingsError
        If VascX is not installed.
    """
    check_installed()
    rows = {row["file"]: row for row in read_table(table)}
    missing = [one for one in records if _is_missing(one, rows.get(one.image.as_posix()))]
    failed: dict[str, str] = {}
    try:
        for done, record in enumerate(missing):
            progress(done, len(missing))
            name = record.image.as_posix()
            try:
                rows[name] = {**rows[name], **_biomarkers(record, folder)}
            except OutputError:
                raise
            except Exception as error:  # VascX may raise anything, and the others go on
                logger.debug("%s failed", record.image, exc_info=error)
                failed[name] = reason_of(record.image, error)
    finally:
        write_table(table, list(rows.values()))
    progress(len(missing), len(missing))
    return failed


def _is_missing(record: Record, row: Cells | None) -> bool:
    if row is None or row["error"] or not {"vessel", "disc"} <= record.masks.keys():
        return False
    return not any(cell for name, cell in row.items() if name.startswith(VASCX))


def _biomarkers(record: Record, folder: Path) -> Cells:
    """Write an image with its masks, let VascX measure it, and return what it found."""
    name = f"{record.dataset}_{record.stem}" if record.dataset else record.stem
    image = record.read_image()
    seen = record.read_field_of_view() if record.fov else find_field_of_view(image.pixels)
    masks = {name: record.read_mask(name) for name in record.masks if name != FOVEA.name}
    fovea = fovea_of(record)
    place = None if fovea is None else fovea.place
    save_for_vascx(folder, name, image.pixels, seen, masks, fovea=place)
    return run_vascx(folder, name)


def run_vascx(folder: Path, name: str) -> Cells:
    """Measure one image with VascX, of a folder that `save_for_vascx` wrote.

    Its results are in `biomarkers/NAME`: `biomarkers.csv`, and `data_dictionary.csv`, which says
    what each is.

    Returns
    -------
    Cells by the name of the column: that of VascX's biomarker after `vascx_`.

    Raises
    ------
    OutputError
        If a file cannot be written, or VascX's table is not readable.
    """
    example = read_for_vascx(folder)[name]
    out = make_folder(folder / _RESULTS / name)
    _extract(example, out)
    found = read_biomarkers(out / "biomarkers.csv")
    return next(iter(found.values()))


def read_biomarkers(path: Path) -> dict[str, Cells]:
    """Read VascX's table of biomarkers, its own or one of `vascx calc-biomarkers`.

    Returns
    -------
    Cells by the name of the image, and by `vascx_` and the name of the biomarker.

    Raises
    ------
    OutputError
        If it cannot be read, or is another kind of table.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {row.pop("id"): {f"{VASCX}{key}": _cell(row[key]) for key in row} for row in rows}
    except OSError as error:
        raise OutputError(str(read_error(path, error))) from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise OutputError(f"{path}: is not a table of VascX's biomarkers.") from error


def _cell(text: str) -> str:
    return cell_text(float(text)) if text else ""


def _extract(example: Mapping[str, Any], out: Path) -> None:
    """Call VascX; what it prints and warns of goes to the log."""
    from vascx.fundus.retina import Retina
    from vascx.utils.analysis import extract_biomarkers_to_folder

    told_apart = "av_path" in example
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extract_biomarkers_to_folder(
            [dict(example)],
            FEATURES if told_apart else _features_of_one_tree(),
            out,
            retina_cls=Retina if told_apart else _one_tree(),
            n_jobs=1,
            generate_report=False,
            overwrite=True,
        )
    if printed.getvalue():
        logger.debug("VascX: %s", printed.getvalue().strip())


@cache
def _features_of_one_tree() -> Any:
    from vascx.fundus import feature_sets  # noqa: F401  # they register themselves
    from vascx.shared.features import FeatureSet

    chosen = [
        feature
        for feature in FeatureSet.get_by_name(FEATURES)
        if type(feature).__name__ not in _OF_ARTERIES_AND_VEINS
    ]
    return FeatureSet(f"{FEATURES}_one_tree", chosen)


@cache
def _one_tree() -> Any:
    """Return VascX's retina with all vessels as one tree, in place of arteries and of veins."""
    from vascx.fundus.features.base import LayerFeature
    from vascx.fundus.layer import VesselTreeLayer
    from vascx.fundus.retina import Retina

    class OneTree(Retina):  # type: ignore[misc]
        @classmethod
        def _target_names_for_feature(cls, feature: Any) -> list[str]:
            if isinstance(feature, LayerFeature):
                return ["tree"]
            names: list[str] = super()._target_names_for_feature(feature)
            return names

        @classmethod
        def from_file(cls, **arguments: Any) -> Any:
            retina = super().from_file(**arguments)
            retina.layers["tree"] = VesselTreeLayer("tree", retina.vessels.mask, retina=retina)
            return retina

    return OneTree
