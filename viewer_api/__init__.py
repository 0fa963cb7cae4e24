"""The web's door: DICOMweb, FHIR, the worklist and sign-in."""
