"""The Train dock: small widgets, and the session that knows the run folder.

A training is a child process (`child`) on a run folder, which `watcher` follows. What is ticked
(`pairs`) is written there first (`snapshot`). The widgets take data and emit signals; `session`
alone starts, stops and installs.
"""
