"""The values passed between packages: pydantic types, settings, errors. No I/O."""
