"""Messages of the libraries that decode images."""

import logging
import warnings


def silence_decoders() -> None:
    """Silence what decoders report that they repair; what they cannot becomes an error of ours."""
    for decoder in ("tifffile", "pydicom"):
        logging.getLogger(decoder).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=decoder)
