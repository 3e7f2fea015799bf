"""Prompts of the stages: one template per stage, and the schema of its answer."""

from agent.prompts.render import REVISION, render
from agent.prompts.schemas import answer_schema

__all__ = ["REVISION", "answer_schema", "render"]
