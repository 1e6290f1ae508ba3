"""Steps that bring the database from one version of its tables to the next."""
