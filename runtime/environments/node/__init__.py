"""Node.js: the packages that a JavaScript repository declares, and the environments that hold them."""

from runtime.environments.node.building import build_node, chosen
from runtime.environments.node.laying import lay_packages
from runtime.environments.node.lockfile import archives_of, parse_lock
from runtime.environments.node.locking import NodeNeeds, lock_node, needs_of, project_at
from runtime.environments.node.project import NodePackage, NodeProject, read_node_project, read_package

__all__ = [
    "NodeNeeds",
    "NodePackage",
    "NodeProject",
    "archives_of",
    "build_node",
    "chosen",
    "lay_packages",
    "lock_node",
    "needs_of",
    "parse_lock",
    "project_at",
    "read_node_project",
    "read_package",
]
