"""What may be asked about media on their way: inbox, quarantine, outbox, actions and pipelines."""
