"""What can go wrong at the AI's door, each with the thing it is about and what to do."""

from pacs.errors import PacsError


class AiError(PacsError):
    """Anything that the AI's door refuses or cannot do."""


class UnreadableImage(AiError):
    """An image that cannot be turned into a network input; `.reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"this image cannot be assessed: {reason}")


class ModelError(AiError):
    """A model that cannot be used now; `.model` names it."""

    def __init__(self, model: str, message: str) -> None:
        self.model = model
        super().__init__(f"model {model}: {message}")


class ModelMissing(ModelError):
    """The bundle, or a file of it, is not there."""


class ModelAltered(ModelError):
    """A file of the bundle differs from its SHA-256."""


class ModelRefused(ModelError):
    """A bundle, or a file of weights, that cannot become a model of this installation."""


class FetchError(ModelError):
    """A model's file that could not be downloaded."""


class DataError(AiError):
    """Images or labels for training or evaluation that cannot be used."""
