"""`python -m unet_lib`: the commands of `unet_lib.cli.main`."""

import sys

from unet_lib.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
