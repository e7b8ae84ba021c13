"""A thousand worlds are built here: `transitions` need not say each time what it skips."""

import logging

logging.getLogger("transitions").setLevel(logging.ERROR)
