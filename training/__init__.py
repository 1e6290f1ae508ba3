"""Build the classifier: labelled records in, a model folder out."""
