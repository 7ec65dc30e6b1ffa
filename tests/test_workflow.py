"""The workflow file: what it runs exists, on every system and Python version that is promised."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from scripts.source_tree import ROOT


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "checks.yml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)  # `on` stays a word


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_promised_python_is_tried(workflow: dict[str, Any], project: dict[str, Any]):
    promised = [name.rpartition(" ")[2] for name in project["classifiers"] if ":: 3." in name]
    assert workflow["jobs"]["everything"]["strategy"]["matrix"]["python"] == promised


def test_other_systems_and_the_newest_napari_are_tried(workflow: dict[str, Any]):
    jobs = workflow["jobs"]
    systems = jobs["without-a-window"]["strategy"]["matrix"]["system"]
    assert systems == ["macos-latest", "windows-latest"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", workflow["on"]["schedule"][0]["cron"])  # weekly
    newest = [step.get("run", "") for step in jobs["newest-napari"]["steps"]]
    assert any("--pre" in command and "napari" in command for command in newest)


def test_what_it_runs_is_there(workflow: dict[str, Any]):
    runs = [
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    ]
    paths = {path for run in runs for path in re.findall(r"(?:scripts|tests|\.ci)/[\w./]+", run)}
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = {target for run in runs for target in re.findall(r"make ([\w-]+)", run)}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_each_job_may_only_read_and_ends(workflow: dict[str, Any]):
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert int(job["timeout-minutes"]) <= 120
        assert all("uses" in step or "run" in step for step in job["steps"])
