"""The lifecycle of an attempt: begin, work, validate, attribute, measure, close. It is independent of any engine."""
