"""Items, interactions and their split: the catalog that everything else reads."""
