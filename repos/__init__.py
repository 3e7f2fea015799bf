"""Reading repositories: git objects, history, diffs, trees, safe writes, and the code index."""
