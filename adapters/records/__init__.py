"""What an adapter reads and gives: folders, records, values, times."""
