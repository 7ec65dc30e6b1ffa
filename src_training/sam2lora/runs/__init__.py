"""The run folder: one training on disk, complete, watchable by others, and resumable.

```
RUN/settings.json        the settings, whole
RUN/data/                what it trains on: a snapshot, or a manifest of paths and hashes
RUN/events.jsonl         what happened, one JSON object a line
RUN/control/             files named pause or stop ask for it; anyone may write them
RUN/checkpoint.pt        the latest state: one file, replaced whole
RUN/adapters/<step>/     adapters by validation; best.json names the best
RUN/previews/            validation images with the answer at that time
```

Nothing here imports torch until a checkpoint is written or read.
"""

from sam2lora.runs.checkpoint import load_checkpoint, save_checkpoint
from sam2lora.runs.control import Control
from sam2lora.runs.event_log import (
    START,
    LogPosition,
    NewEvents,
    append_event,
    follow_events,
    read_events,
    without_lost,
)
from sam2lora.runs.events import (
    CheckpointEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    PreviewEvent,
    ResumedEvent,
    StartedEvent,
    StepEvent,
    StoppedEvent,
    ValidationEvent,
    WarningEvent,
)
from sam2lora.runs.folder import RunFolder
from sam2lora.runs.listing import RunSummary, list_runs, runs_folder, summarize
from sam2lora.runs.lock import Holder, holder_of, is_alive
from sam2lora.runs.management import delete_run, new_run, new_run_folder, rename_run
from sam2lora.runs.run_adapters import (
    RunAdapter,
    best_adapter,
    list_adapters_of_run,
    prune_adapters,
    set_best,
)
from sam2lora.runs.status import (
    ProcessExit,
    RunState,
    RunStatus,
    deciding_event,
    run_status,
    status_of_missing,
)

__all__ = [
    "START",
    "CheckpointEvent",
    "Control",
    "Event",
    "FailedEvent",
    "FinishedEvent",
    "Holder",
    "LogPosition",
    "NewEvents",
    "PausedEvent",
    "PreviewEvent",
    "ProcessExit",
    "ResumedEvent",
    "RunAdapter",
    "RunFolder",
    "RunState",
    "RunStatus",
    "RunSummary",
    "StartedEvent",
    "StepEvent",
    "StoppedEvent",
    "ValidationEvent",
    "WarningEvent",
    "append_event",
    "best_adapter",
    "deciding_event",
    "delete_run",
    "follow_events",
    "holder_of",
    "is_alive",
    "list_adapters_of_run",
    "list_runs",
    "load_checkpoint",
    "new_run",
    "new_run_folder",
    "prune_adapters",
    "read_events",
    "rename_run",
    "run_status",
    "runs_folder",
    "save_checkpoint",
    "set_best",
    "status_of_missing",
    "summarize",
    "without_lost",
]
