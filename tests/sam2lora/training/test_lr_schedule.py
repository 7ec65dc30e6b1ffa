"""The learning rate against values computed by hand."""

import pytest

from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.settings import OptimizerSettings


def rates(steps: int, **settings: object) -> list[float]:
    optimizer = OptimizerSettings.model_validate({"learning_rate": 0.1, "warmup": 0} | settings)
    return [learning_rate(step, steps, optimizer) for step in range(steps)]


def test_warmup_rises_linearly_to_the_highest_rate() -> None:
    assert rates(6, schedule="constant", warmup=4) == pytest.approx(
        [0.025, 0.05, 0.075, 0.1, 0.1, 0.1]
    )


def test_cosine_decays_to_a_hundredth() -> None:
    # (1 + cos(pi k / 4)) / 2 = 1, 0.8536, 0.5, 0.1464
    expected = [0.1 * (0.01 + 0.99 * part) for part in (1, 0.853553, 0.5, 0.146447)]
    assert rates(4) == pytest.approx(expected, abs=1e-7)
    assert rates(1000)[-1] == pytest.approx(0.001, rel=0.01)


def test_cosine_starts_after_the_warmup() -> None:
    assert rates(12, warmup=8)[8:] == pytest.approx(rates(4))


def test_warm_restarts_have_equal_periods() -> None:
    found = rates(9, schedule="restarts", restart_every=3)
    assert found[:3] == pytest.approx([0.1, 0.075, 0.025])
    assert found[3:6] == found[:3]
    assert found[6:] == found[:3]


@pytest.mark.parametrize("schedule", ["cosine", "restarts", "constant"])
def test_warmup_longer_than_the_training_is_allowed(schedule: str) -> None:
    found = rates(3, schedule=schedule, warmup=30)
    assert found == pytest.approx([0.1 / 30, 0.2 / 30, 0.3 / 30])
