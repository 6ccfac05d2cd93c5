"""Names of other packages that differ from those of `mainspring` itself, a module for each.

Over the public names, and with no mechanism of its own. A program may import a name from here or
from `mainspring`: the supervisor, the workers and the registered tasks are the same.
"""
