"""Greets everybody named on the command line."""

import sys

from greeter.greeting import greet


def main() -> int:
    """Prints one greeting per argument, or one for the world."""
    for name in sys.argv[1:] or [""]:
        print(greet(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
