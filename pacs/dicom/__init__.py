"""DICOM itself: Part 10 framing, text, JSON and pixels, without a network or a database."""
