"""What lasts: rows in a database, pictures in a content-addressed store."""
