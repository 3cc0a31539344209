"""Connections, transactions, migrations, declared tables, and the errors of the database."""
