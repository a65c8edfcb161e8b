"""Every error the package raises on purpose, with the exit code each one leads to.

H2QError                    1  failed while running
├── UnusableInput           2  wrong use or unusable input
│   ├── SettingError           a setting that is unknown or out of range
│   ├── CorpusError            text that cannot be trained on
│   ├── DocumentError          a file out of which no text can be read; the sentence is the reason alone
│   ├── ModelFileError         a model or checkpoint file that cannot be loaded
│   ├── KnowledgeError         a knowledge base that cannot be used
│   └── PromptsError           a file of prompts, or a line of it, that cannot be used
├── DirectoryInUse          1  another process works in the output directory
├── SaveFailed              1  a file could not be written; older files are intact
├── TrainingDiverged        1  a loss or gradient that is not finite
├── NetworkBlocked          1  something tried to open a network connection
└── Interrupted           130  stopped by the user, everything saved

An error names a message of the catalogue; ``str(error)`` is that one clear sentence in the
language in use. Only ``cli`` turns an error into an exit code.
"""

from h2q.system.messages.catalogue import message


class H2QError(Exception):
    """An expected failure: ``key`` names its message, ``values`` fill it."""

    exit_code = 1

    def __init__(self, key: str, **values: object):
        super().__init__(key, values)
        self.key = key
        self.values = values

    def __str__(self) -> str:
        return message(self.key, **self.values)


class UnusableInput(H2QError):
    exit_code = 2


class SettingError(UnusableInput):
    pass


class CorpusError(UnusableInput):
    pass


class DocumentError(UnusableInput):
    pass


class ModelFileError(UnusableInput):
    pass


class KnowledgeError(UnusableInput):
    pass


class PromptsError(UnusableInput):
    pass


class DirectoryInUse(H2QError):
    pass


class SaveFailed(H2QError):
    pass


class TrainingDiverged(H2QError):
    pass


class NetworkBlocked(H2QError):
    pass


class Interrupted(H2QError):
    exit_code = 130
