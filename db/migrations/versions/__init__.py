"""One file per schema; what has been released is never edited."""
