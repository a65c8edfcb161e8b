#!/usr/bin/env python3
"""Talk to a trained local language model: see ``--help``."""

import sys

from h2q.cli.main import chat_main


def __getattr__(name: str) -> object:
    """``LocalInferenceModel`` can be imported from here."""
    import h2q

    return getattr(h2q, name)


if __name__ == "__main__":
    sys.exit(chat_main())
