"""The disks as the engine sees them: identity, state, health, configuration."""
