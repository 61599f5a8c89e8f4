"""Copy the finished model to where the request wants it."""
