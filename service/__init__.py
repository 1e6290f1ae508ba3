"""The HTTP service: thin, every judgement is classifier's."""
