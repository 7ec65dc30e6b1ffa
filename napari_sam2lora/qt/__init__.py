"""Qt helpers that know no layer: workers, dialogs, notifications, small widgets."""
