"""Settings of an evaluation, and regimes as the command line takes them."""

import pytest
from pydantic import ValidationError

from sam2lora.errors import SettingsError
from sam2lora.evaluation import EvaluateSettings, parse_regimes
from sam2lora.prompts.sampling import REGIMES


def test_the_default_is_automatic_by_the_literatures_protocol() -> None:
    settings = EvaluateSettings(target="vessel")
    assert (settings.regimes, settings.protocol, settings.flips) == (("none",), "literature", False)
    assert settings.conventions.name == "literature"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("none", ("none",)),
        ("box, 1p,none", ("none", "1p", "box")),
        ("1p,1p", ("1p",)),
        ("all", tuple(REGIMES)),
        ("none,all", tuple(REGIMES)),
    ],
)
def test_regimes_are_named_with_commas_between(text: str, names: tuple[str, ...]) -> None:
    assert parse_regimes(text) == names


@pytest.mark.parametrize("text", ["", "3p", "none,", "None"])
def test_an_unknown_regime_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(SettingsError, match=r"none, 1p, 2p, 5p, 5p1n, box, 5p1n\+box, all"):
        parse_regimes(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"regimes": ()},
        {"regimes": ("3p",)},
        {"regimes": ("1p", "1p")},
        {"seed": -1},
        {"tta": True},
        {"include": "(a"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluateSettings(target="vessel", **wrong)
