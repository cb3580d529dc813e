#!/usr/bin/env python3
"""Drives a server over raw sockets and prints what it answered.

    raw.py HOST:PORT PROFILE [PART-OF-A-SCENARIO-NAME]

The server must be fresh and configured as the profile says (`../profiles`).
Two runs against the same kind of server print the same text.
"""

import sys

import harness
import scenarios  # noqa: F401  (registers every scenario)


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    host, _, port = arguments[0].rpartition(":")
    only = arguments[2] if len(arguments) == 3 else None
    harness.run_all((host, int(port)), arguments[1], only, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
