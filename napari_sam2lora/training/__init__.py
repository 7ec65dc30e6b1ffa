"""The Train dock: small widgets, and the session that knows the run folder.

A training is a child process (`run.process`) on a run folder, which `run.watcher` follows. The
selected pairs (`data.pairs`) are written there first (`data.snapshot`). The widgets take data and
emit signals; `run.session` alone writes, starts, stops and installs.
"""
