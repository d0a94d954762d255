"""The worked scenarios that come with carelink."""

from __future__ import annotations

from importlib import resources

from carelink.scenario.reader import Story, parse_story

__all__ = ["bundled_scenarios"]


def bundled_scenarios() -> list[Story]:
    """All of them, in order of name."""
    folder = resources.files("carelink.scenario") / "files"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return [parse_story(file.read_bytes()) for file in files]
