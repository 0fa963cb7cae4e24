"""Studies as files to take away: DICOM media (PS3.10, PS3.11) with a page that shows them."""
