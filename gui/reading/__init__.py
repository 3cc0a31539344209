"""What pages read: one poller and one desk for all browsers."""
