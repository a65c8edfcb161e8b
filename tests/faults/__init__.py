"""Faults and attacks that the system survives: a test for each, and a campaign with all of them.

``rows`` says which test proves which row. The short forms run with the suite; the full forms, over
every position and every call, by ``python -m tests.faults.campaign`` from the repository.
"""
