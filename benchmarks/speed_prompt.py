"""Measure how long a click takes to become a mask, beside SAM 2's own `predict`.

    OMP_NUM_THREADS=2 python benchmarks/speed_prompt.py --base tiny --rounds 5 --json OUT

The options are those of `sam2lora benchmark prompt`, which this is.
"""

import sys

from sam2lora.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", "prompt"]
    main()
