"""Unattended operation: rounds of self-improvement one after the other, until a rule or a plateau stops them."""
