"""Set every config's schedule and batches from the data that is there: the same as `muomni update-configs`."""

import sys

from muomni.cli import main

if __name__ == "__main__":
    sys.exit(main(["update-configs", *sys.argv[1:]]))
