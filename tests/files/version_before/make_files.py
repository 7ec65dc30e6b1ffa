"""Write the files of this folder, in a checkout of commit 6266ebf: `python make_files.py OUT`."""

# ruff: noqa: E402

import json
import os
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path

out = Path(sys.argv[1]).resolve()
os.environ |= {
    "SAM2LORA_CONFIG": str(out / "config"),
    "SAM2LORA_ADAPTERS": str(out / "adapters"),
    "SAM2LORA_CORRECTIONS": str(out / "corrections"),
}

import numpy as np
import torch
from napari.components import ViewerModel
from napari.layers import Layer
from napari_sam2lora._preview import accept
from napari_sam2lora._prompt_layers import boxes_layer, keep_key, points_layer
from PIL import Image
from sam2lora.adapters.from_run import install_best
from sam2lora.corrections import Corrections
from sam2lora.exports.training_data import LabelledImage, save_training_data
from sam2lora.image_prompts import Click, ImagePrompts
from sam2lora.model_table import BASE_MODELS
from sam2lora.predictor import Predictor
from sam2lora.scene import Scene
from sam2lora.weights import identify, seed_weights

from napari_sam2lora import _reader
from sam2lora import base_models
from sam2lora.adapters.archive import export_adapter
from sam2lora.evaluation import (
    EvaluateSettings,
    network_contestant,
    plan_parts,
    write_report,
    writing,
)
from sam2lora.images import read_image
from sam2lora.runs import RunFolder
from sam2lora.synthetic import draw_fundus
from sam2lora.synthetic.settings import SyntheticSettings
from sam2lora.targets import TARGETS, Target, save_target
from sam2lora.training import trainee
from sam2lora.training.loop import train
from sam2lora.training.settings import make_settings

shutil.rmtree(out, ignore_errors=True)
torch.set_num_threads(1)


def pocket() -> base_models.LoadedBase:
    """Return nano at 128² with weights from a seed, the `pocket_base` of the tests."""
    base = replace(BASE_MODELS["nano"], input_size=128)
    base_models.NANO = {**base_models.NANO, "image_size": 128}
    network = base_models.build_network(base)
    seed_weights(network, seed=1)
    return base_models.LoadedBase(base, network, identify(network), trained=True, path=None)


trainee.load_base = lambda *_, **__: pocket()
writing.save_plots = writing.save_overviews = lambda *_: None  # pictures, which nothing reads

# Images, and a target of the user's own.
images = out / "images"
images.mkdir(parents=True)
save_target(Target(name="drusen", label=4, color="#4363d8", detail="tiles", threshold=0.4))
drawn = {f"eye{number}": draw_fundus(number, SyntheticSettings(size=96)) for number in range(3)}
for name, eye in drawn.items():
    Image.fromarray(eye.image).save(images / f"{name}.jpg", quality=70)

# A run as the dock makes one, stopped after two of three steps.
settings = make_settings(
    "standard",
    {
        "target": "disc",
        "data": [{"root": "data/dataset.csv"}],
        "geometry": {"detail": "whole"},
        "lora": {"rank": 1, "placement": "decoder", "dropout": 0},
        "optimizer": {"warmup": 0, "learning_rate": 1e-2},
        "validation": {"every": 2, "images": 1},
        "checkpoint_every": 2,
        "steps": 3,
        "batch": 1,
        "workers": 0,
        "device": "cpu",
        "precision": "float32",
    },
)
run = RunFolder.create(out / "run", settings.model_dump_json(indent=2))
save_training_data(
    run.data,
    [
        LabelledImage(name, images / f"{name}.jpg", {"disc": eye.masks["disc"]}, patient=name)
        for name, eye in drawn.items()
    ],
)
for event in train(run):
    if event.kind == "checkpoint":
        run.control.request("stop")

# Its best adapter, installed and exported; what it answers; and the third step, of a copy.
adapter = install_best(run.path)
export_adapter(adapter, out / "run.zip")
predictor = Predictor(pocket(), device="cpu", precision="float32")
predictor.use(adapter)
scene = Scene.of(read_image(images / "eye0.jpg").pixels)
answer = predictor.answer(scene, adapter.card.geometry, ImagePrompts(clicks=(Click(50, 40),)))
copy = RunFolder.open(shutil.copytree(run.path, out.with_name("copy"), dirs_exist_ok=True))
losses = [event.loss for event in train(copy) if event.kind == "step"]
expected = {
    "probabilities": answer.probabilities[8::16, 8::16].round(5).tolist(),
    "loss_of_step_3": losses[-1],
}
(out / "expected.json").write_text(json.dumps(expected) + "\n")

# A report on it, by two kinds of prompts, at a threshold that finds something.
settings = EvaluateSettings(target="disc", regimes=("none", "1p"))
threshold = round(float(np.quantile(answer.probabilities, 0.98)), 3)
adapter = replace(adapter, card=adapter.card.model_copy(update={"threshold": threshold}))
write_report(
    out / "report",
    [network_contestant(predictor, settings, adapter)],
    plan_parts([run.data / "dataset.csv"], settings),
    settings,
    command="sam2lora evaluate run/data/dataset.csv --target disc --adapter run --out report",
)

# Corrections of two images, one of them done.
corrections = Corrections(images)
rows, columns = np.indices(scene.shape)
disk = np.hypot(rows - 40, columns - 50) < 12
corrections.save("eye0", images / "eye0.jpg", {"disc": disk, "drusen": rows < 30})
corrections.save("eye1", images / "eye1.jpg", {"vessel": rows == columns})
corrections.set_done("eye0", True)

# What layers of the viewer know: opened with corrections, accepted, of an image without a file.
viewer = ViewerModel()
for layer in _reader.read(images):
    viewer.add_layer(Layer.create(*layer))
opened = viewer.layers[0]
accept(viewer, opened, TARGETS["cup"], disk, "replace")
camera = viewer.add_image(drawn["eye2"].image, name="camera", rgb=True)
keep_key(camera)
accept(viewer, camera, TARGETS["disc"], disk, "replace")
prompts = [points_layer(opened, TARGETS["cup"]), boxes_layer(opened, TARGETS["cup"])]
layers = [
    {"type": layer._type_string, "name": layer.name, "metadata": layer.metadata}
    for layer in [*viewer.layers, *prompts]
]
(out / "layers.json").write_text(json.dumps(layers, indent=1) + "\n")

# Without what nothing reads, and without the places of the computer it is made on.
shutil.rmtree(run.previews)
shutil.rmtree(images)  # they are in the run's data too
for lock in [*out.rglob(".lock"), *out.rglob("*.md")]:
    if lock.parent.name == "report" or lock.suffix != ".md":
        lock.unlink()
corrections.folder.rename(out / "corrections" / "images")
for path in [*out.rglob("*.json"), *out.rglob("*.csv")]:
    text = path.read_text().replace(str(out), "{folder}")
    path.write_text(text.replace(f" {platform.release()}", ""))
