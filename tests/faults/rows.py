"""Which test proves which row of the list of faults; ``test_rows`` checks that each is there."""

ROWS = {
    1: (
        "kill -9 at a random step",
        ["faults/test_kill.py::row_1", "training/test_resume.py::test_killed"],
    ),
    2: ("kill -9 inside a save", ["faults/test_kill.py::row_2"]),
    3: (
        "power loss",
        ["faults/test_power_loss.py::row_3", "system/test_files.py::synced_then_renamed"],
    ),
    4: ("a fault while recovering", ["faults/test_kill.py::row_4"]),
    5: ("disk full", ["faults/test_disk.py::row_5", "checkpoint/test_container.py::full_disk"]),
    6: (
        "EIO on fsync",
        ["faults/test_kill.py::row_6", "checkpoint/test_container.py::failed_save"],
    ),
    7: ("read-only directory", ["faults/test_disk.py::row_7"]),
    8: (
        "stdout full, pipe closed",
        ["faults/test_disk.py::row_8", "system/test_console.py::broken_stream"],
    ),
    9: ("Ctrl-C once", ["faults/test_signals.py::row_9"]),
    10: ("Ctrl-C twice", ["faults/test_signals.py::row_10"]),
    11: (
        "SIGTERM, SIGHUP",
        ["faults/test_signals.py::row_11", "training/test_trainer.py::test_a_signal"],
    ),
    12: (
        "two processes, one directory",
        ["faults/test_signals.py::row_12", "system/test_files.py::lock"],
    ),
    13: (
        "clock off by a year",
        ["faults/test_signals.py::row_13", "checkpoint/test_directory.py::by_step"],
    ),
    14: (
        "resumed twice in one epoch",
        ["faults/test_signals.py::row_14", "training/test_resume.py::again"],
    ),
    15: ("other threads or torch", ["faults/test_signals.py::row_15"]),
    16: (
        "newest checkpoint damaged",
        ["faults/test_kill.py::row_16", "checkpoint/test_container.py::flipped"],
    ),
    17: ("all checkpoints broken", ["faults/test_signals.py::row_17"]),
    18: (
        "malicious pickle",
        ["faults/test_hostile_files.py::18", "checkpoint/test_container.py::is_not_run"],
    ),
    19: (
        "bombs, overlaps",
        ["faults/test_hostile_files.py::18_to_22", "checkpoint/test_container.py::bomb"],
    ),
    20: (
        "hostile metadata",
        ["faults/test_hostile_files.py::20", "checkpoint/test_container.py::metadata"],
    ),
    21: (
        "wrong shape, dtype, foreign",
        ["checkpoint/test_model_file.py::dimensions", "checkpoint/test_model_file.py::fit"],
    ),
    22: (
        "NaN weights in a file",
        ["checkpoint/test_container.py::not_finite", "checkpoint/test_model_file.py::finite"],
    ),
    23: (
        "NaN loss or gradient",
        ["faults/test_signals.py::row_23", "training/test_trainer.py::not_finite"],
    ),
    24: (
        "NaN score of a challenger",
        ["evolution/test_engine.py::disaster", "evolution/test_gate.py::every_rule"],
    ),
    25: ("kill inside a promotion", ["faults/test_kill.py::row_25"]),
    26: ("rotation with stale higher steps", ["checkpoint/test_directory.py::stale_higher_steps"]),
    27: ("path tricks", ["faults/test_hostile_files.py::row_27"]),
    28: (
        "text that changes",
        ["faults/test_signals.py::row_28", "datasets/test_corpus.py::change"],
    ),
    29: (
        "encodings",
        ["faults/test_hostile_text.py::row_29", "datasets/test_text_files.py::become_utf8"],
    ),
    30: (
        "empty file, 1-byte file",
        ["datasets/test_text_files.py::no_text", "cli/test_main.py::wrong_use_of_training"],
    ),
    31: (
        "1 GB in a single line",
        ["faults/test_hostile_text.py::row_31", "datasets/test_corpus.py::memory"],
    ),
    32: (
        "symlink loop",
        [
            "datasets/test_file_search.py::loop_of_directories",
            "datasets/test_text_files.py::to_itself",
        ],
    ),
    33: (
        "FIFO, device, socket",
        ["faults/test_hostile_text.py::33", "faults/test_hostile_files.py::33"],
    ),
    34: ("permission denied", ["faults/test_hostile_text.py::row_34"]),
    35: ("prompts of any kind", ["faults/test_prompts.py::row_35"]),
    36: (
        "escape sequences",
        ["faults/test_prompts.py::row_36", "system/test_console.py::printable"],
    ),
    37: (
        "invalid UTF-8",
        ["generation/test_generate.py::utf8", "model/test_tokenizer.py::any_bytes_decode"],
    ),
    38: (
        "the network",
        ["faults/test_network.py::row_38", "system/test_offline.py::network_is_blocked"],
    ),
    39: ("out of memory", ["faults/test_resources.py::row_39"]),
    40: ("crash in native code, hang", ["faults/test_resources.py::row_40"]),
}
