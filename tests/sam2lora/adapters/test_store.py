import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sam2lora.adapters import store
from sam2lora.adapters.folder import FILES, Adapter
from sam2lora.adapters.store import (
    adapters_folder,
    adopt_target,
    default_adapter,
    delete_adapter,
    find_adapter,
    install_adapter,
    is_installed,
    list_adapters,
    list_problems,
    rename_adapter,
    shipped_folder,
    user_adapter_folder,
)
from sam2lora.errors import AdapterError
from sam2lora.runs import RunFolder, set_best
from sam2lora.targets import FOVEA, TARGETS, Target, get_target, save_target


@pytest.fixture
def made(make_adapter) -> Adapter:
    return make_adapter()


@pytest.fixture
def shipped(make_adapter, tmp_path: Path, monkeypatch) -> Adapter:
    """Ship an adapter called vessel-shipped with the package."""
    root = tmp_path / "assets"
    monkeypatch.setattr(store, "shipped_folder", lambda: root)
    return make_adapter("vessel-shipped", folder=root / "vessel-shipped")


def names() -> list[str]:
    return [adapter.name for adapter in list_adapters()]


def test_folder_of_adapters_follows_the_environment(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("SAM2LORA_ADAPTERS", str(tmp_path / "mine"))
    assert adapters_folder() == tmp_path / "mine"
    monkeypatch.delenv("SAM2LORA_ADAPTERS")
    assert adapters_folder().parts[-2:] == ("napari-sam2lora", "adapters")
    assert shipped_folder().parts[-3:] == ("sam2lora", "assets", "adapters")


def test_missing_folder_has_no_adapters():
    assert [adapter for adapter in list_adapters() if not adapter.shipped] == []
    assert list_problems() == []
    assert not adapters_folder().exists(), "looking makes no folder"


def test_name_is_distinguished_from_a_folder(made: Adapter, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vessel-test").mkdir(exist_ok=True)
    assert not is_installed("vessel-test")
    install_adapter(made)
    assert is_installed("vessel-test")
    (adapters_folder() / "vessel-test" / "sam2lora.json").unlink()
    assert is_installed("vessel-test"), "even if damaged"
    for other in ("", ".", "..", str(made.folder), "./vessel-test"):
        assert not is_installed(other)


def test_an_installed_adapter_is_found_by_name_and_by_path(made: Adapter):
    (made.folder / "notes.txt").write_text("mine")
    installed = install_adapter(made)
    assert installed.folder == adapters_folder() / "vessel-test"
    assert {path.name for path in installed.folder.iterdir()} == set(FILES)
    assert installed.digest() == made.digest()
    assert find_adapter("vessel-test").folder == installed.folder
    assert find_adapter(str(made.folder)).folder == made.folder
    assert find_adapter(made.folder).folder == made.folder
    assert names() == ["vessel-test"]


def test_run_folder_opens_its_best_adapter(make_adapter, tmp_path: Path):
    run = RunFolder.create(tmp_path / "my-run", "{}")
    with pytest.raises(AdapterError, match=r"my-run: this training has no adapter yet"):
        find_adapter(run.path)
    made = {step: make_adapter(folder=run.adapter(step), seed=step) for step in (10, 20, 30)}
    set_best(run.path, 20, 0.8)
    assert find_adapter(run.path).digest() == made[20].digest()
    assert find_adapter(str(run.adapter(30))).digest() == made[30].digest()
    set_best(run.path, 30, 0.9)
    assert find_adapter(str(run.path)).digest() == made[30].digest()
    (run.adapters / "best.json").write_text("{")
    with pytest.raises(AdapterError, match="Choose one of the adapters next to it"):
        find_adapter(run.path)


def test_run_of_a_base_model_error_says_how_to_use_it(tmp_path: Path):
    run = RunFolder.create(tmp_path / "run", "{}")
    run.adapter(5).mkdir()
    (run.adapter(5) / "nano.safetensors").touch()
    set_best(run.path, 5, 0.8)
    with pytest.raises(AdapterError, match=r"--model .*nano\.safetensors"):
        find_adapter(run.path)


def test_unknown_adapter_error_lists_the_installed_ones(made: Adapter):
    with pytest.raises(AdapterError, match=r"no adapter called 'disc'.*Installed: none\."):
        find_adapter("disc")
    install_adapter(made)
    install_adapter(made, name="another")
    with pytest.raises(AdapterError, match="Installed: another, vessel-test"):
        find_adapter("disc")
    with pytest.raises(AdapterError, match="Installed"):
        find_adapter("../made/nothing")


def test_zip_file_error_says_how_to_install_it(tmp_path: Path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"")
    with pytest.raises(AdapterError, match=f"sam2lora adapters import {path}"):
        find_adapter(path)


def test_installed_adapter_is_named_by_its_folder(made: Adapter):
    install_adapter(made)
    shutil.copytree(adapters_folder() / "vessel-test", adapters_folder() / "by-hand")
    assert names() == ["by-hand", "vessel-test"]
    assert find_adapter("by-hand").card.name == "by-hand"


def test_a_taken_name_is_refused_unless_replaced(made: Adapter, make_adapter):
    install_adapter(made)
    other = make_adapter("other", seed=5)
    with pytest.raises(AdapterError, match=r"'vessel-test' already exists.*--replace"):
        install_adapter(other, name="vessel-test")
    assert find_adapter("vessel-test").digest() == made.digest()
    with pytest.raises(AdapterError, match="'vessel-test' already exists"):
        install_adapter(other, name="Vessel-TEST", replace=True)
    install_adapter(other, name="vessel-test", replace=True)
    assert find_adapter("vessel-test").digest() == other.digest()
    assert names() == ["vessel-test"]


def test_adapter_changed_since_its_check_is_not_installed(made: Adapter):
    made.weights.write_bytes(b"other")
    with pytest.raises(AdapterError, match="truncated"):
        install_adapter(made)
    assert names() == []


def test_renamed_adapter_has_its_new_name(made: Adapter):
    install_adapter(made)
    renamed = rename_adapter("vessel-test", "better")
    assert names() == ["better"]
    assert json.loads((renamed.folder / "sam2lora.json").read_text())["name"] == "better"
    assert "# better" in (renamed.folder / "README.md").read_text(encoding="utf-8")
    assert renamed.digest() == made.digest()
    with pytest.raises(AdapterError, match="is not a valid name"):
        rename_adapter("better", "../evil")
    with pytest.raises(AdapterError, match="already exists"):
        rename_adapter("better", "better")
    assert names() == ["better"]


def test_a_deleted_adapter_is_gone(made: Adapter):
    install_adapter(made)
    install_adapter(made, name="kept")
    delete_adapter("vessel-test")
    assert names() == ["kept"]
    with pytest.raises(AdapterError, match=r"called 'vessel-test'. You have: kept"):
        delete_adapter("vessel-test")
    with pytest.raises(AdapterError, match="is not a valid name"):
        delete_adapter("../made")


def test_shipped_adapters_cannot_be_changed(shipped: Adapter, made: Adapter):
    assert find_adapter("vessel-shipped").shipped
    install_adapter(made)
    assert not find_adapter("vessel-test").shipped
    for change in (
        lambda: delete_adapter("vessel-shipped"),
        lambda: user_adapter_folder("vessel-shipped"),
    ):
        with pytest.raises(AdapterError, match="comes with the package"):
            change()
    with pytest.raises(AdapterError, match="comes with the package"):
        rename_adapter("vessel-shipped", "mine")
    with pytest.raises(AdapterError, match="already exists"):
        install_adapter(made, name="vessel-shipped", replace=True)


def test_user_adapter_hides_a_shipped_one_of_the_same_name(shipped: Adapter, made: Adapter):
    shutil.copytree(made.folder, adapters_folder() / "vessel-shipped")
    assert not find_adapter("vessel-shipped").shipped
    assert names() == ["vessel-shipped"]


def test_damaged_folder_does_not_hide_others(made: Adapter):
    install_adapter(made)
    install_adapter(made, name="broken").weights.unlink()
    (adapters_folder() / "empty").mkdir()
    (adapters_folder() / "file.txt").write_text("")
    assert names() == ["vessel-test"]
    problems = [str(problem) for problem in list_problems()]
    assert len(problems) == 2
    assert "broken" in problems[0]
    assert "adapter_model.safetensors is missing" in problems[0]
    assert "empty" in problems[1]
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors is missing"):
        find_adapter("broken")
    delete_adapter("broken")
    assert len(list_problems()) == 1


def test_interrupted_replacement_is_recovered(made: Adapter):
    folder = install_adapter(made).folder
    folder.rename(folder.with_name(".vessel-test.replaced"))
    shutil.copytree(made.folder, folder.with_name(".vessel-test.partial"))
    assert names() == ["vessel-test"]


def test_default_is_the_shipped_adapter_else_the_newest(made, make_adapter, untouched, monkeypatch):
    vessel = TARGETS["vessel"]
    assert default_adapter(untouched.weights_sha256, vessel) is None
    install_adapter(made)
    older = make_adapter("aaa", created=datetime(2020, 1, 1, tzinfo=UTC))
    install_adapter(older)
    install_adapter(make_adapter("zzz", target=TARGETS["disc"]))
    assert default_adapter(untouched.weights_sha256, vessel).name == "vessel-test"
    assert default_adapter(untouched.weights_sha256, TARGETS["disc"]).name == "zzz"
    assert default_adapter(untouched.weights_sha256, TARGETS["cup"]) is None
    assert default_adapter("0" * 64, vessel) is None
    root = older.folder.parent / "assets"
    monkeypatch.setattr(store, "shipped_folder", lambda: root)
    shutil.copytree(older.folder, root / "vessel-shipped")
    assert default_adapter(untouched.weights_sha256, vessel).name == "vessel-shipped"


def test_unknown_target_of_an_adapter_is_added(make_adapter):
    drusen = Target(name="drusen", label=9, color="#123456", threshold=0.3)
    adapter = make_adapter(target=drusen)
    assert adopt_target(adapter) == drusen
    assert get_target("drusen") == drusen
    assert adopt_target(adapter) is None
    assert adopt_target(make_adapter("known")) is None


def test_added_point_needs_no_label(make_adapter):
    assert adopt_target(make_adapter("fovea-test", target=FOVEA)) is None  # built in
    pit = Target(name="pit", kind="point", label=0, color="#123456")
    assert adopt_target(make_adapter("pit-test", target=pit)) == pit
    assert get_target("pit") == pit


def test_added_target_gets_a_free_label(make_adapter):
    save_target(Target(name="mine", label=4, color="#000000"))
    added = adopt_target(make_adapter(target=Target(name="drusen", label=1, color="#123456")))
    assert added.label == 5
    assert get_target("drusen").label == 5
    assert get_target("mine").label == 4
