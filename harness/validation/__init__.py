"""A candidate judged by the commit's hidden tests, and what keeps it from bending the verdict."""
