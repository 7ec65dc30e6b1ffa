"""What lists say of an adapter."""

import pytest

from napari_sam2lora._card_words import dice_of


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ({"dice": 0.8421, "start_dice": 0.7129, "images": 2}, "Dice 0.842 (before 0.713)"),
        ({"dice": 0.8421}, "Dice 0.842"),
        ({"start_dice": 0.7}, ""),
        ({}, ""),
    ],
)
def test_the_dice_stands_beside_that_of_the_start(make_adapter, validation, words):
    card = make_adapter().card.model_copy(update={"validation": validation})
    assert dice_of(card) == words
