"""The sculpted family, for tests only: blobs of clay, drawn threads, and a look without physics."""
