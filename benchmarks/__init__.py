"""Commands that print ratios and memory, measured in one run."""
