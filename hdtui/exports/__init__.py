"""What leaves for other programs: tables, figures, reports, event files."""
