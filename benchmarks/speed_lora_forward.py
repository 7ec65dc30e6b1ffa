"""Measure what LoRA costs a forward pass, merged and not merged, beside the base alone.

    OMP_NUM_THREADS=2 python benchmarks/speed_lora_forward.py --base tiny --rounds 5 --json OUT

The options are those of `sam2lora benchmark lora-forward`, which this is.
"""

import sys

from sam2lora.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["benchmark", "lora-forward"]
    main()
