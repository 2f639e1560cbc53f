"""One module a tool: ``run(**arguments)`` answers with a JSON document."""
