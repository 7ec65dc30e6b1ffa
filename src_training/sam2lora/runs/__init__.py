"""The run folder: one training on disk, complete, resumable, and readable while it runs.

```
RUN/settings.json        the complete settings
RUN/data/                the training data: a snapshot, or a manifest of paths and hashes
RUN/events.jsonl         the events, one JSON object per line
RUN/control/             requests: files named pause or stop, which anyone may write
RUN/checkpoint.pt        the latest state: one file, replaced atomically
RUN/adapters/<step>/     an adapter per validation; best.json names the best
RUN/previews/            validation images with the prediction at that time
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
    drop_superseded,
    follow_events,
    read_events,
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
from sam2lora.runs.lock import is_alive
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
    "drop_superseded",
    "follow_events",
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
]
