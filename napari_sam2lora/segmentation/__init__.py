"""The Segment dock: `dock` composes it of small widgets that know no session and no viewer."""
