"""Every table of the product: importing this module fills the one MetaData."""

import pacs.audit.tables
import pacs.commitment
import pacs.devices
import pacs.index.document_tables
import pacs.index.tables
import pacs.links.tables
import pacs.models.tables
import pacs.people.tables
import pacs.withdrawal
import pacs.workitems.tables  # noqa: F401
from pacs.database.metadata import metadata

__all__ = ["metadata"]
