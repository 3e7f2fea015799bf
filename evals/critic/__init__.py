"""How good a critic is: comparisons judged in both orders, beside baselines that read no code."""
