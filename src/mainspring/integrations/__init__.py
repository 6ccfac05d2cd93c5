"""Ties to other packages: a module for each, imported by who uses both."""
