"""FHIR R4: imaging studies for the EMR, with the addresses of their images and of the viewer."""
