"""Measure how long an image takes to encode, LoRA merged, beside SAM 2's own `set_image`.

    OMP_NUM_THREADS=2 python benchmarks/speed_encode.py --base tiny --rounds 5 --json OUT

The options are those of `sam2lora benchmark encode`, which this is.
"""

import sys

from sam2lora.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", "encode"]
    main()
