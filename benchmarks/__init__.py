"""Measurements that anyone can repeat: each prints ratios or memory, taken in one run on the same records."""
