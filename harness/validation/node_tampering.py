"""Changes of a candidate that would decide the result of a run of JavaScript tests instead of its code."""

from harness.validation.tampering import Tampered
from models.files import Overlay
from models.manifest import Instance
from repos.git import Git
from runtime.environments.node import configured_by_scripts, project_at
from runtime.testing.node_runner import steering, steers


def refuse_foreign_steering(git: Git, instance: Instance, changes: Overlay) -> None:
    """Raise Tampered for a file that stands in for an installed package, and for a changed configuration of a test
    runner, or changed scripts of a package, that are neither the parent's nor the commit's."""
    commits = (instance.base_commit, instance.commit)
    named = frozenset[str]().union(*(configured_by_scripts(project_at(git, commit)) for commit in commits))
    for path in sorted(path for path in changes if steers(path) or path in named):
        if "node_modules" in path.split("/"):
            raise Tampered(f"{path} would be run in place of an installed package")
        content = changes[path]
        found = steering(path, content[0] if content is not None else None)
        known = [steering(path, git.read(commit, path)) for commit in commits]
        if found not in known:
            raise Tampered(f"{path} configures the test runner neither as the parent does nor as the commit")
