"""``python -m tailrace.testing``: the scripted upstream on its own."""

import sys

from tailrace.testing.demo import main

sys.exit(main())
