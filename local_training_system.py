#!/usr/bin/env python3
"""Train a local language model, or let it evolve: see ``--help``."""

import sys

from h2q.cli.main import train_main


def __getattr__(name: str) -> object:
    """``LocalModelTrainer`` and ``SelfEvolutionEngine`` can be imported from here."""
    import h2q

    return getattr(h2q, name)


if __name__ == "__main__":
    sys.exit(train_main())
