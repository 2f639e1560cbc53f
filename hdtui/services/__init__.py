"""Services fetch and command: the only part of the cockpit that knows db and engine.workers."""
