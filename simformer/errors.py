"""The one exception for mistakes that a user can mend: the command line prints it without a traceback."""


class UserError(Exception):
    """Bad input. The message says what was found, where, what was expected, and what to type."""
