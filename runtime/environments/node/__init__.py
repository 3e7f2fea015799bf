"""Node.js: the packages that a JavaScript repository declares, and the environments that hold them."""

from runtime.environments.node.building import build_node, chosen
from runtime.environments.node.generating import ScriptCutShort, generated_by_scripts
from runtime.environments.node.laying import lay_packages
from runtime.environments.node.lockfile import archives_of, parse_lock
from runtime.environments.node.locking import NodeNeeds, lock_node, needs_of, project_at
from runtime.environments.node.project import NodePackage, NodeProject, read_node_project, read_package
from runtime.environments.node.release import is_release, release_of
from runtime.environments.node.suites import configured_by_scripts, node_setup, project_on_disk, script_of

__all__ = [
    "NodeNeeds",
    "NodePackage",
    "NodeProject",
    "ScriptCutShort",
    "archives_of",
    "build_node",
    "chosen",
    "configured_by_scripts",
    "generated_by_scripts",
    "is_release",
    "lay_packages",
    "lock_node",
    "needs_of",
    "node_setup",
    "parse_lock",
    "project_at",
    "project_on_disk",
    "read_node_project",
    "read_package",
    "release_of",
    "script_of",
]
