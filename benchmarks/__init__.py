"""Measurements that anyone can repeat: each prints ratios taken in one run on the same records."""
