"""The curves of runs."""

import pytest

from napari_sam2lora.training.curves import Curves

pytestmark = pytest.mark.viewer


@pytest.fixture
def curves(qtbot) -> Curves:
    made = Curves()
    qtbot.addWidget(made)
    return made


def lines(curves: Curves) -> dict[tuple[str, str], list[float]]:
    found = {key: line.getOriginalDataset()[1] for key, line in curves._lines.items()}
    return {key: [] if values is None else list(values) for key, values in found.items()}


def test_every_term_and_the_dice_are_drawn(curves: Curves) -> None:
    losses = {"loss": ([1, 2], [3.0, 2.0]), "bce": ([1, 2], [1.0, 0.5])}
    curves.show_run(losses, ([2], [0.7]), 0.5)
    assert lines(curves) == {
        ("loss", "loss"): [3.0, 2.0],
        ("loss", "bce"): [1.0, 0.5],
        ("dice", "Dice"): [0.7],
    }
    assert curves._start.value() == 0.5
    assert "bce" in curves._legend.text()


def test_another_run_leaves_nothing_of_the_first(curves: Curves) -> None:
    curves.show_run({"loss": ([1], [3.0]), "cldice": ([1], [1.0])}, ([1], [0.7]), 0.5)
    curves.show_run({"loss": ([1], [2.0])}, ([], []))
    assert set(lines(curves)) == {("loss", "loss"), ("dice", "Dice")}
    assert curves._start is None
    assert "cldice" not in curves._legend.text()


def test_runs_are_compared_by_loss_and_dice(curves: Curves) -> None:
    curves.show_run({"loss": ([1], [3.0])}, ([1], [0.7]), 0.5)
    curves.compare({"a<b": (([1], [1.0]), ([1], [0.6])), "c": (([1], [2.0]), ([1], [0.8]))})
    assert lines(curves)["dice", "c"] == [0.8]
    assert len(lines(curves)) == 4
    assert "a&lt;b" in curves._legend.text()
