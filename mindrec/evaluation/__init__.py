"""The evaluation protocol, metrics, baselines and diagnosis."""
