"""Tables of the documents that `pacs.documents` writes: metadata of whole series and studies."""

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from pacs.database.metadata import metadata


def _document(of: Column[int]) -> Table:
    return Table(
        f"{of.name.removesuffix('_ref')}_metadata",
        metadata,
        of,
        Column(
            "instances", ARRAY(BigInteger), nullable=False, comment="ids of those that it describes"
        ),
        Column("etag", Text, nullable=False),
        Column("gzip", LargeBinary, nullable=False, comment="compressed array of DICOM JSON"),
    )


series_metadata = _document(Column("series_ref", ForeignKey("series.id"), primary_key=True))
study_metadata = _document(Column("study_ref", ForeignKey("studies.id"), primary_key=True))
