"""Write-intents: the only way into the database."""
