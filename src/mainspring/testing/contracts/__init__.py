"""Contracts of stores and services, as suites of tests to inherit from."""
