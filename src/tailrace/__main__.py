"""``python -m tailrace``: the command line, where no script is on the PATH."""

import sys

from tailrace.cli.main import main

sys.exit(main())
