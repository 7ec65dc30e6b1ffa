"""Grade a set of images, in days and by more than one person: a session is a folder.

```
SESSION/session.json                     the images: hash, path, patient, eye, dataset
SESSION/graders/NAME/log.jsonl           what NAME did, one JSON object a line, appended only
SESSION/graders/NAME/masks/, dataset.csv NAME's masks and points, kept by `annotations.store`
SESSION/graders/NAME/recovery.npz        what NAME has not saved yet
SESSION/adjudicators/NAME/               the same of a third person
SESSION/doubts.csv                       how doubtful the predictions of images are
SESSION/images/                          images that came with a packed session
```

A window opens a `GradingSession`, and in it a `SessionGrader`, which holds the lock of that
person's folder. Masks of others are read through `Review` alone, which gives them once all graders
are done with an image; an `Adjudicator` decides on these. Nothing here imports Qt, napari or torch.

What a dock does, in this order:

- `GradingSession.open`, `missing`, and `locate` if anything is; `SessionGrader`, with `read_only`
  if it is refused; `recovery.read`, to offer what was not saved before a crash;
- the list of images from `images`, with `SessionGrader.grade` of each; the next one by `suggest`;
- masks and points through `corrections`, as the image list does, but for what is done;
- every two seconds after a change `recovery.write`; on each action `WorkClock.act`, whose intervals
  go to `write`, as do `PredictionEntry`s;
- when an image is left: `corrections.save`, `recovery.discard`, `set_state`; at the end `close`.
"""

from sam2lora.grading.adjudication import Adjudicator
from sam2lora.grading.doubts import Doubt, doubt_of_confidences, read_doubts
from sam2lora.grading.entries import GradingState, PredictionEntry, Quality, WorkEntry
from sam2lora.grading.grades import ImageGrade
from sam2lora.grading.locating import Located, locate
from sam2lora.grading.ordering import Suggestion, suggest
from sam2lora.grading.participants import Participant, SessionGrader
from sam2lora.grading.recovery import Recovery, RecoveryFile
from sam2lora.grading.review import Review
from sam2lora.grading.session import GradingSession
from sam2lora.grading.session_file import SessionImage
from sam2lora.grading.sources import SourceImage, list_sources
from sam2lora.grading.work_clock import WorkClock

__all__ = [
    "Adjudicator",
    "Doubt",
    "GradingSession",
    "GradingState",
    "ImageGrade",
    "Located",
    "Participant",
    "PredictionEntry",
    "Quality",
    "Recovery",
    "RecoveryFile",
    "Review",
    "SessionGrader",
    "SessionImage",
    "SourceImage",
    "Suggestion",
    "WorkClock",
    "WorkEntry",
    "doubt_of_confidences",
    "list_sources",
    "locate",
    "read_doubts",
    "suggest",
]
