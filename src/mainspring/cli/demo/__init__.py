"""Parts of `mainspring demo`."""
