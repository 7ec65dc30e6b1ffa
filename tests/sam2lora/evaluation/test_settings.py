"""Evaluation settings, and prompt regimes as given on the command line."""

import pytest
from pydantic import ValidationError

from sam2lora.errors import SettingsError
from sam2lora.evaluation import EvaluateSettings, parse_regimes
from sam2lora.prompts.sampling import REGIMES


def test_default_is_no_prompt_by_the_literature_protocol() -> None:
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
def test_regimes_are_parsed_from_a_comma_separated_list(text: str, names: tuple[str, ...]) -> None:
    assert parse_regimes(text) == names


@pytest.mark.parametrize("text", ["", "3p", "none,", "None"])
def test_unknown_regime_is_refused_with_the_available_ones(text: str) -> None:
    with pytest.raises(SettingsError, match=r"none, 1p, 2p, 5p, 5p1n, box, 5p1n\+box, all"):
        parse_regimes(text)


@pytest.mark.parametrize(
    "invalid",
    [
        {"regimes": ()},
        {"regimes": ("3p",)},
        {"regimes": ("1p", "1p")},
        {"seed": -1},
        {"tta": True},
        {"include": "(a"},
    ],
)
def test_invalid_settings_are_refused(invalid: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvaluateSettings(target="vessel", **invalid)
