"""The workflows: which steps each has."""
