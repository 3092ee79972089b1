"""The nouns that every room of Glioloop shares. Depends on numpy alone."""
