"""The Lab: a toy shop whose next-item law is known, and a model that is trained on it while one watches."""
