"""SPDX identifiers from a project's license texts and metadata."""

import re

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

# In order: the first match in a license file's head applies.
_TEXTS = (
    ("AGPL-3.0", r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-3.0", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3"),
    ("LGPL-2.1", r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1"),
    ("GPL-3.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 3"),
    ("GPL-2.0", r"GNU GENERAL PUBLIC LICENSE\s+Version 2"),
    ("MPL-2.0", r"Mozilla Public License,? (?:Version|v\.?) ?2\.0"),
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("ISC", r"Permission to use, copy, modify,? and/or distribute this software"),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining"),
    ("BSD-3-Clause", r"Redistribution and use in source and binary forms(?s:.*)\b[Nn]either the name"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
    ("Unlicense", r"This is free and unencumbered software released into the public domain"),
    ("PSF-2.0", r"PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"),
)
# Forms found in metadata fields and trove classifiers, lower case, in order.
_NAMES = (
    ("AGPL-3.0", r"\bagpl|affero"),
    ("LGPL-3.0", r"\blgpl.*3|lesser general.*3"),
    ("LGPL-2.1", r"\blgpl|lesser general"),
    ("GPL-3.0", r"\bgpl.*3|general public license.*3"),
    ("GPL-2.0", r"\bgpl.*2|general public license.*2"),
    ("MPL-2.0", r"\bmpl|mozilla"),
    ("Apache-2.0", r"\bapache"),
    ("ISC", r"\bisc\b"),
    ("MIT", r"\bmit\b"),
    ("BSD-2-Clause", r"\bbsd[- ]2"),
    ("BSD-3-Clause", r"\bbsd[- ]3|new bsd|modified bsd"),
    ("Unlicense", r"\bunlicense|public domain"),
    ("PSF-2.0", r"python software foundation|\bpsf"),
)


def spdx(text: str) -> str | None:
    """The SPDX expression that a text is, in its canonical form; None for free text, as was usual before."""
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def from_metadata(license_field: str, classifiers: tuple[str, ...]) -> str | None:
    """The SPDX expression in the field, else the identifier matched in the field or the classifiers."""
    if expression := spdx(license_field):
        return expression
    fields = [license_field] if len(license_field) < 200 else []
    fields += [entry.split("::")[-1] for entry in classifiers if entry.startswith("License ::")]
    for text in fields:
        for identifier, pattern in _NAMES:
            if re.search(pattern, text.lower()):
                return identifier
    return from_text(license_field)


def from_text(text: str) -> str | None:
    """The identifier of a license from its text, or None if it is not a common one."""
    for identifier, pattern in _TEXTS:
        if re.search(pattern.replace(" ", r"\s+"), text):
            return identifier
    return None
