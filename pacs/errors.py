"""The root of the archive's errors; each room derives its own family from it."""


class PacsError(Exception):
    """Something the archive could not do, said in one sentence that a person can act on."""
