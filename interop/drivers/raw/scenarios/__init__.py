"""Every scenario, by subject. Importing a module registers its scenarios."""

from . import (  # noqa: F401
    acls,
    create,
    frames,
    handshake,
    multi,
    reads,
    sessions,
    system,
    watches,
    watch_sets,
    words,
    writes,
)
