"""Errors a user can act on.

Every message says what was found, what was expected, which row or file it concerns, and what to do
next. `exit_code` is what the `recast` command returns when the error reaches it.
"""


class RecastError(Exception):
    """Base of every error this project raises on purpose."""

    exit_code = 1


class UsageError(RecastError, ValueError):
    """A wrong option, an unknown config key, a reference that names nothing."""

    exit_code = 2


class DataError(RecastError, ValueError):
    """Input data that cannot be read as demonstrations."""

    exit_code = 2


class ModelError(RecastError, ValueError):
    """A model folder that lacks what the job needs (weights, tokenizer, chat template, adapter)."""

    exit_code = 2


class RefusedError(RecastError):
    """A gate or promotion rule said no."""

    exit_code = 4


class IntegrityError(RecastError):
    """The conservation law does not hold, or stored bytes do not match their hash."""

    exit_code = 5


class MissingDependencyError(RecastError, ImportError):
    """An optional package or piece of hardware is absent. The message holds the install command."""

    exit_code = 6


class BudgetReached(RecastError):
    """A time or candidate budget ran out. What was finished stands, and the same command goes on."""

    exit_code = 7


class CancelledError(RecastError):
    """Somebody asked the job to stop. What was finished stands, and the same command goes on."""

    exit_code = 130
