"""Examples that teach attention to every place of a context, after IN2 training (An et al. 2024, arXiv 2404.16811).

The paper has a teacher write a question about a segment of some 128 tokens, which is then placed anywhere in a long
context. Here the questions are mechanical, about code of real repositories, so their answers are proven, not judged.
"""
