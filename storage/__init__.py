"""Where bytes live: keys and objects, local or S3. Knows nothing of DICOM."""
