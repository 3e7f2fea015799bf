"""What is found of a project's dependencies in files that a test gives."""

from runtime.environments import Project, discover


def project(files: dict[str, str]) -> Project:
    contents = {path: text.encode() for path, text in files.items()}
    return discover(contents.get, sorted(contents))
