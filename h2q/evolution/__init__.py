"""The cycles of evolution: what is taught, how it is trained, and the test that decides."""
