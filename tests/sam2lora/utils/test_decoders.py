"""What decoders say."""

import logging
import warnings

import pytest

from sam2lora.utils.decoders import silence_decoders


def test_repairs_are_not_reported(caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("tifffile")
    before = logger.level
    try:
        with warnings.catch_warnings():
            silence_decoders()
            logger.error("a tag is odd")
    finally:
        logger.setLevel(before)
    assert caplog.records == []
