"""What writes parts of the source and of the documents."""
