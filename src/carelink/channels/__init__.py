"""Channels: the contract's entry door for plugins, the registry, the one dispatcher, and the built-in channels."""
