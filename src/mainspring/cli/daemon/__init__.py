"""Additions of `mainspring supervise`: workers on a screen, messages to service managers."""
