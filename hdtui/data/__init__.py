"""Questions: frozen answers from the database and the machine; nothing here writes."""
