# Each target does its own set-up in .venv; PYTHON=/path/to/python chooses the interpreter.
.DEFAULT_GOAL := help
.PHONY: help demo test test-gpu lint types manifest docs set-up-demo set-up-test
export IMAGE

BIN := .venv/bin

help:
	@echo "make demo [IMAGE=path]   run the main job on an image, or on a synthetic one, into demo/"
	@echo "make test [ARGS=...]     run all tests, without a screen; ARGS go to pytest"
	@echo "make test-gpu            run the tests that need a CUDA device; without one they say so"
	@echo "make lint types manifest docs    the other checks; .ci/run runs them all"

demo: set-up-demo
	@$(BIN)/sam2lora demo $${IMAGE:+"$$IMAGE"} --out demo

# Qt's offscreen platform has no OpenGL, and a small screen; pytest-xvfb brings a real one. Without
# bytecode, each process that a test starts would compile all modules again.
test: set-up-test
	@$(BIN)/python scripts/viewer_packages.py
	@env -u QT_QPA_PLATFORM -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

test-gpu: set-up-test
	@$(BIN)/python -m pytest -m gpu $(ARGS)

lint: set-up-test
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: set-up-test
	@$(BIN)/mypy

manifest: set-up-test
	@$(BIN)/npe2 validate napari_sam2lora

docs: set-up-test
	@$(BIN)/python -m scripts.check_links
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

set-up-demo:
	@scripts/set_up.sh demo

set-up-test:
	@scripts/set_up.sh test
