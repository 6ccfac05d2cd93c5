"""The folders in which nodes of stores on a server keep their locks: that part needs mainspring."""

from __future__ import annotations

import os
import shutil

from mainspring.stores.postgres.address import address_of
from mainspring.stores.run_folder import ROOT


def remove(name):
    """Remove the folder of a store, by its name there."""
    shutil.rmtree(ROOT / f"mainspring-{os.geteuid()}" / name, ignore_errors=True)


def remove_for(url):
    """Remove that of a store on PostgreSQL."""
    remove(address_of(url).folder)
