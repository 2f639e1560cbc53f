"""Questions and changes by name: functions that take the database first and return records."""
