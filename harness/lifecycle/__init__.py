"""The lifecycle of an attempt: begin, work, validate, attribute, measure, close. It knows no engine."""
