"""Measurements as ratios against a named alternative in the same run. Timings never decide a test."""
