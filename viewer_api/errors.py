"""What can keep the web's door from opening."""

from pacs.errors import PacsError


class ViewerApiError(PacsError):
    """Root of this room's errors."""


class AddressInUse(ViewerApiError):
    """Another program has the port, or the address is none of this machine's."""
