"""Progress of a long call."""

from sam2lora.utils.progress import no_progress


def test_ignored_progress_takes_steps_and_shares() -> None:
    assert no_progress(1, 3) is None
    assert no_progress(0.5, 1) is None
