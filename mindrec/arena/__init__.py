"""Related recommenders on one protocol: trained within one budget, measured on the same cases."""
