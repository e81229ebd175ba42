"""The one error that a person is meant to read."""


class MindRecError(ValueError):
    """Bad input or a bad file: the message names the value, what is allowed and the remedy."""
