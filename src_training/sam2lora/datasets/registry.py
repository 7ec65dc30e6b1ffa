"""The table of datasets: one entry for each folder layout that is recognised.

Layouts are those in which the datasets are distributed. Uncertain ones are left out (LES-AV,
RIM-ONE r3, the labels of lesions and of arteries and veins): read those as a plain folder or by a
CSV file.
"""

from collections.abc import Mapping
from types import MappingProxyType

from sam2lora.datasets.layouts import ANY_TARGET, IMAGE_ENDING, Layout, MaskLocation

_ONE_PATIENT_PER_IMAGE = "Patients are not named, so every image counts as a patient of its own."
_OWN_IMAGE = rf"(?P<id>.+)\.{IMAGE_ENDING}"

_LAYOUTS = (
    Layout(
        name="csv",
        about="your own: dataset.csv, or any CSV file given by its path, with a column image and "
        "one for each target; fov, patient and split if available",
        example="dataset.csv",
        images=(),
        masks={ANY_TARGET: ()},
        public=False,
    ),
    Layout(
        name="ellipses",
        about="your own: any CSV file given by its path with an ellipse in each row; columns "
        "dataset, image, structure, cx, cy, rx, ry, angle and grade",
        example="ellipses.csv",
        images=(),
        masks={ANY_TARGET: ()},
        public=False,
    ),
    Layout(
        name="DRIVE",
        about="40 images with vessels; the test half by two graders",
        example="training/images/21_training.tif",
        images=(
            r"(?P<split>training|test)/images/(?P<id>(?P<patient>\d+))_(?:training|test)\.tif",
        ),
        masks={
            "vessel": (
                MaskLocation("half", ("{split}/1st_manual/{id}_manual1.gif",)),
                MaskLocation("half", ("{split}/2nd_manual/{id}_manual2.gif",)),
            )
        },
        fov=MaskLocation("half", ("{split}/mask/{id}_{split}_mask.gif",)),
    ),
    Layout(
        name="CHASE_DB1",
        about="28 images of both eyes of 14 children with vessels by two graders",
        example="Image_01L.jpg",
        images=(r"(?P<id>Image_(?P<patient>\d+)(?P<eye>[LR]))\.jpg",),
        masks={
            "vessel": (
                MaskLocation("half", ("{id}_1stHO.png",)),
                MaskLocation("half", ("{id}_2ndHO.png",)),
            )
        },
    ),
    Layout(
        name="STARE",
        about="20 images with vessels by two graders",
        example="stare-images/im0001.ppm",
        images=(r"stare-images/(?P<id>im\d+)\.ppm", r"stare-images/(?P<id>im\d+)\.ppm\.gz"),
        masks={
            "vessel": (
                MaskLocation("half", ("labels-ah/{id}.ah.ppm", "labels-ah/{id}.ah.ppm.gz")),
                MaskLocation("half", ("labels-vk/{id}.vk.ppm", "labels-vk/{id}.vk.ppm.gz")),
            )
        },
        note=_ONE_PATIENT_PER_IMAGE,
    ),
    Layout(
        name="HRF",
        about="45 images of different patients (dr, g, h) with vessels",
        example="images/01_dr.JPG",
        images=(r"images/(?P<id>\d+_(?:dr|g|h))\.jpg",),
        masks={"vessel": (MaskLocation("half", ("manual1/{id}.tif",)),)},
        fov=MaskLocation("half", ("mask/{id}_mask.tif",)),
    ),
    Layout(
        name="FIVES",
        about="800 images with vessels, official split 600/200",
        example="train/Original/1_A.png",
        images=(r"(?P<split>train|test)/Original/(?P<id>\d+_[A-Z])\.png",),
        masks={"vessel": (MaskLocation("half", ("{split}/Ground truth/{id}.png",)),)},
        stem="{split}_{id}",  # both halves are numbered from 1
        note=_ONE_PATIENT_PER_IMAGE,
    ),
    Layout(
        name="IOSTAR",
        about="30 scanning-laser images with vessels",
        example="image/STAR 01_OSC.jpg",
        images=(r"image/(?P<id>STAR (?P<patient>\d+)_(?P<eye>O[DS])[A-Z]*)\.jpg",),
        masks={"vessel": (MaskLocation("half", ("GT/{id}_GT.tif",)),)},
        fov=MaskLocation("half", ("mask/{id}_Mask.tif",)),
        note="Patients are not named; the image's number is used as the patient.",
    ),
    Layout(
        name="DRISHTI-GS",
        about="101 images with disc and cup by at least 3 of 4 experts, official split 50/51",
        example="Training/Images/drishtiGS_002.png",
        images=(
            r"(?P<split>Training|Test)/Images/(?P<id>drishtiGS_\d+)\.png",
            r"(?P<split>Training|Test)/Images/(?:GLAUCOMA|NORMAL)/(?P<id>drishtiGS_\d+)\.png",
        ),
        masks={
            target: (
                MaskLocation(
                    "soft",
                    (
                        f"{{split}}/GT/{{id}}/SoftMap/{{id}}_{name}segSoftmap.png",
                        f"{{split}}/Test_GT/{{id}}/SoftMap/{{id}}_{name}segSoftmap.png",
                    ),
                ),
            )
            for target, name in (("disc", "OD"), ("cup", "cup"))
        },
        note=_ONE_PATIENT_PER_IMAGE
        + " Masks of the test half are expected in GT or in Test_GT; which of them is unverified.",
    ),
    Layout(
        name="DRIONS-DB",
        about="110 images with disc contours by two experts",
        example="images/image_001.jpg",
        images=(r"images/image_(?P<id>\d+)\.jpg",),
        masks={
            "disc": (
                MaskLocation("contour", ("experts_anotation/anotExpert1_{id}.txt",)),
                MaskLocation("contour", ("experts_anotation/anotExpert2_{id}.txt",)),
            )
        },
        note="110 images of 55 patients, not named: a split by patient is a split by image.",
    ),
    Layout(
        name="DRIONS-DB-masks",
        about="DRIONS-DB with the discs drawn as JPEG masks",
        example="images/image_001.jpg",
        images=(r"images/(?P<id>image_\d+)\.jpg",),
        masks={"disc": (MaskLocation("half", ("disc/{id}.jpg",)),)},
        note="110 images of 55 patients, not named: a split by patient is a split by image.",
    ),
    Layout(
        name="IDRiD",
        about="81 images with discs, official split 54/27",
        example="1. Original Images/a. Training Set/IDRiD_01.jpg",
        images=(
            r"1\. Original Images/(?P<split>a\. Training Set|b\. Testing Set)"
            r"/(?P<id>IDRiD_\d+)\.jpg",
        ),
        masks={
            "disc": (
                MaskLocation(
                    "nonzero",
                    ("2. All Segmentation Groundtruths/{split}/5. Optic Disc/{id}_OD.tif",),
                ),
            )
        },
        note=_ONE_PATIENT_PER_IMAGE,
    ),
    Layout(
        name="REFUGE",
        about="REFUGE and REFUGE2: 400 images in each part with disc and cup",
        example="train/images/g0001.jpg",
        images=(r"(?P<split>train|val|test)/images/(?P<id>.+)\.jpg",),
        masks={
            "disc": (
                MaskLocation("refuge-disc", ("{split}/mask/{id}.bmp", "{split}/mask/{id}.png")),
            ),
            "cup": (
                MaskLocation("refuge-cup", ("{split}/mask/{id}.bmp", "{split}/mask/{id}.png")),
            ),
        },
        stem="{split}_{id}",
        note=_ONE_PATIENT_PER_IMAGE,
    ),
    Layout(
        name="ORIGA",
        about="650 images with disc and cup",
        example="Images/001.jpg",
        images=(r"Images/(?P<id>.+)\.jpg",),
        masks={
            "disc": (MaskLocation("matlab-disc", ("Semi-automatic-annotations/{id}.mat",)),),
            "cup": (MaskLocation("matlab-cup", ("Semi-automatic-annotations/{id}.mat",)),),
        },
        note=_ONE_PATIENT_PER_IMAGE,
    ),
    Layout(
        name="G1020",
        about="1020 images with disc and, where visible, cup",
        example="Images/image_0.jpg",
        images=(r"Images/(?P<id>image_\d+)\.jpg",),
        masks={
            "disc": (MaskLocation("labelme-disc", ("Images/{id}.json",)),),
            "cup": (MaskLocation("labelme-cup-if-any", ("Images/{id}.json",)),),
        },
        note="1020 images of 432 patients, not named: a split by patient is a split by image.",
    ),
    Layout(
        name="GRAPE",
        about="631 disc crops with disc and cup, several visits of a patient",
        example="ROI images/1_OD_1.jpg",
        images=(r"ROI images/(?P<id>(?P<patient>\d+)_(?P<eye>OD|OS)_\d+)\.jpg",),
        masks={
            "disc": (MaskLocation("labelme-od", ("json/{id}.json",)),),
            "cup": (MaskLocation("labelme-oc", ("json/{id}.json",)),),
        },
    ),
    Layout(
        name="PAPILA",
        about="488 images of both eyes of 244 patients with disc and cup by two experts",
        example="FundusImages/RET002OD.jpg",
        images=(r"FundusImages/(?P<id>RET(?P<patient>\d+)(?P<eye>OD|OS))\.jpg",),
        masks={
            target: tuple(
                MaskLocation(
                    "contour",
                    (f"ExpertsSegmentations/Contours/{{id}}_{target}_exp{expert}.txt",),
                )
                for expert in (1, 2)
            )
            for target in ("disc", "cup")
        },
    ),
    Layout(
        name="folder",
        about="your own: images/ with masks/TARGET/NAME.png, masks/TARGET/NAME_TARGET.png, "
        "masks/NAME_TARGET.png, or, with --target, masks/NAME.png; fov/NAME.png if available; "
        "pixels to ignore in ignore/NAME.png",
        example="images/NAME.png",
        images=(rf"images/{_OWN_IMAGE}",),
        masks={
            ANY_TARGET: (
                MaskLocation(
                    "half",
                    (
                        "masks/{target}/{id}.*",
                        "masks/{target}/{id}_{target}.*",
                        "masks/{id}_{target}.*",
                        "masks/{id}.*",
                    ),
                ),
            )
        },
        fov=MaskLocation("half", ("fov/{id}.*",)),
        ignored=MaskLocation("half", ("ignore/{id}.*",)),
        public=False,
    ),
    Layout(
        name="split-folders",
        about="your own, already split: the same in train/, val/ and test/, or training/, valid/, "
        "validation/ and testing/",
        example="train/images/NAME.png",
        images=(
            rf"(?P<split>train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?)/images/{_OWN_IMAGE}",
        ),
        masks={
            ANY_TARGET: (
                MaskLocation(
                    "half",
                    (
                        "{split}/masks/{target}/{id}.*",
                        "{split}/masks/{target}/{id}_{target}.*",
                        "{split}/masks/{id}_{target}.*",
                        "{split}/masks/{id}.*",
                    ),
                ),
            )
        },
        fov=MaskLocation("half", ("{split}/fov/{id}.*",)),
        ignored=MaskLocation("half", ("{split}/ignore/{id}.*",)),
        stem="{split}_{id}",
        public=False,
    ),
)

DATASETS: Mapping[str, Layout] = MappingProxyType({layout.name: layout for layout in _LAYOUTS})
"""Every layout that is recognised, in the order in which they are tried."""
