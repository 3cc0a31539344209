"""The account page: password, tokens, sessions."""
