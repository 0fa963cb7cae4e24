"""The modality's door: DICOM associations onto the archive."""
