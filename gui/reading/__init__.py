"""What pages read: one desk for all browsers, its poller, and readings that are followed."""
