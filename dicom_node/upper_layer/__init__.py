"""The DICOM upper layer (PS3.8), and DIMSE messages over it (PS3.7), of either side."""
