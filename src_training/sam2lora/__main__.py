"""Run the command line: `python -m sam2lora` is the command `sam2lora`."""

from sam2lora.cli import main

if __name__ == "__main__":
    main()
