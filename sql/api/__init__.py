"""What the public port has of the database for programs: selectors, intents, histories."""
