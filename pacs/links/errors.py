"""What can go wrong with share links."""

from pacs.errors import PacsError


class LinkError(PacsError):
    """Root of this room's errors."""


class BadLink(LinkError):
    """A link cannot be made like that; says what it needs. `field` names what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class LinkNotFound(LinkError):
    """No link has that number."""

    def __init__(self, link_id: int) -> None:
        self.link_id = link_id
        super().__init__(f"there is no share link number {link_id}")
