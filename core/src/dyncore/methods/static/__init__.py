"""The plain backbone, trained as the dynamic networks are."""
