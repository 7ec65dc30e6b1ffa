"""VascX's measurements of our masks, beside ours; where VascX is not installed, its table alone."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sam2lora.annotations import save_for_vascx, save_masks
from sam2lora.annotations.points import PointAnnotation, save_point
from sam2lora.cohort import find_records, measure_records, read_table
from sam2lora.cohort.vascx import add_biomarkers, check_installed, read_biomarkers, run_vascx
from sam2lora.errors import OutputError, SettingsError
from sam2lora.images.field_of_view import FieldOfView, find_field_of_view
from sam2lora.measurements import measure_eye
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.folder import write_synthetic_dataset
from sam2lora.synthetic.fundus import SyntheticFundus
from sam2lora.utils.files import make_folder


@pytest.fixture(scope="module")
def drawn() -> SyntheticFundus:
    return draw_fundus(7)


@pytest.fixture(scope="module")
def field(drawn: SyntheticFundus) -> FieldOfView:
    return find_field_of_view(drawn.image)


@pytest.fixture
def installed() -> None:
    pytest.importorskip("vascx")
    pytest.importorskip("rtnls_fundusprep")


def test_table_of_vascx_is_read(tmp_path: Path):
    table = tmp_path / "biomarkers.csv"
    table.write_text("id,md_tort_dist,vd_disc_full\na,1.01234567,\nb,1.5,0.25\n")
    assert read_biomarkers(table) == {
        "a": {"vascx_md_tort_dist": "1.01235", "vascx_vd_disc_full": ""},
        "b": {"vascx_md_tort_dist": "1.5", "vascx_vd_disc_full": "0.25"},
    }
    table.write_text("name,x\na,1\n")
    with pytest.raises(OutputError, match="not a table of VascX"):
        read_biomarkers(table)
    with pytest.raises(OutputError, match=r"none\.csv"):
        read_biomarkers(tmp_path / "none.csv")


def test_missing_vascx_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "vascx", None)
    with pytest.raises(SettingsError, match=r"napari-sam2lora\[vascx\]"):
        check_installed()


@pytest.mark.usefixtures("installed")
def test_vascx_measures_our_masks_as_we_do(
    drawn: SyntheticFundus, field: FieldOfView, tmp_path: Path
):
    masks = {name: drawn.masks[name] for name in ("vessel", "disc", "cup")}
    save_for_vascx(tmp_path, "eye", drawn.image, field, masks, fovea=(400.0, 520.0))
    theirs = run_vascx(tmp_path, "eye")
    ours = measure_eye(masks, field, eye=drawn.eye, fovea=(400.0, 520.0)).values
    side = 1024 / field.diameter  # VascX measures in pixels of its square
    distance = ours["disc_fovea_distance_px"]
    assert distance is not None
    assert float(theirs["vascx_disc_fovea_distance"]) == pytest.approx(distance * side, rel=0.01)
    tortuosity = float(theirs["vascx_md_tort_dist"])
    assert tortuosity == pytest.approx(ours["vessel_tortuosity_median"], abs=0.005)
    parts = {"center": 1 / 36, "inner": 2 / 36, "outer": 27 / 144}  # of the grid's area
    density = sum(
        parts[name.split("_")[3]] * value
        for name, value in ours.items()
        if name.startswith("vessel_density_etdrs_") and value is not None
    )
    assert float(theirs["vascx_vd_etdrs_full"]) == pytest.approx(density, rel=0.02)
    assert 2 < float(theirs["vascx_md_diam"]) < 20
    assert 40 < float(theirs["vascx_bifangle"]) < 110


@pytest.mark.usefixtures("installed")
@pytest.mark.slow
def test_command_of_vascx_reads_the_folder(
    drawn: SyntheticFundus, field: FieldOfView, tmp_path: Path
):
    save_for_vascx(tmp_path / "in", "eye", drawn.image, field, drawn.masks, fovea=(400.0, 520.0))
    command = [sys.executable, "-c", "from vascx.cli import cli; cli()", "calc-biomarkers"]
    options = ["--feature-set", "full_v3", "--n-jobs", "1", "--no-report"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, tmp_path / "in", tmp_path / "out", *options], check=True, env=environment
    )
    found = read_biomarkers(tmp_path / "out" / "biomarkers.csv")["eye"]
    assert found["vascx_temporal_cre_arteries"] != ""
    assert found["vascx_md_tort_dist_veins"] != ""
    assert found == run_vascx(tmp_path / "in", "eye")


@pytest.mark.usefixtures("installed")
@pytest.mark.slow
def test_biomarkers_join_the_table_and_are_kept(tmp_path: Path):
    data = tmp_path / "data"
    write_synthetic_dataset(data, count=2, seed=7)
    predicted = make_folder(tmp_path / "predicted")
    for record in find_records([data]):
        found = {name: record.read_mask(name) for name in ("vessel", "disc")}
        save_masks(predicted / f"{record.stem}.png", found)
        point = PointAnnotation(target="fovea", x=400, y=520, confidence=0.8)
        save_point(predicted / f"{record.stem}_fovea.json", point)
    records, table = find_records([data], masks=predicted), tmp_path / "table.csv"
    measure_records(records, table)
    assert dict(add_biomarkers(records, table, tmp_path / "vascx")) == {}
    rows = read_table(table)
    assert all(1 <= float(row["vascx_md_tort_dist"]) < 1.1 for row in rows)
    for row in rows:  # of regions, which need the fovea
        theirs = float(row["vascx_disc_fovea_distance"])
        ours = float(row["disc_fovea_distance_px"])
        assert theirs == pytest.approx(ours * 1024 / float(row["field_diameter_px"]), rel=0.01)
        assert row["vascx_vd_etdrs_full"]
    before = table.read_bytes()
    assert measure_records(records, table).kept == 2

    def stop(done: int, total: int) -> None:
        assert total == 0

    add_biomarkers(records, table, tmp_path / "vascx", progress=stop)
    assert table.read_bytes() == before
    assert math.isfinite(float(rows[0]["vascx_md_diam"]))
