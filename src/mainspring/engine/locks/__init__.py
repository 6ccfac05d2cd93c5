"""Named locks of this process: requests for them, and the node that holds them."""
