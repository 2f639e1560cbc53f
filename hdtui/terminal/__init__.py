"""What stands between Textual and the terminal: all that touches names Textual keeps to itself.

An upgrade of Textual is checked here, name by name:

- ``driver``: ``LinuxDriver._file`` (writes that outlive the terminal), ``_key_thread``,
  ``_must_signal_resume``, ``_auto_restart``, ``_sigcont_application`` (a process that was halted
  without notice goes on), ``_get_terminal_size`` (a terminal that knows no size),
  ``_run_input_thread``, ``_debug``, ``_loop``, ``_app``; ``_xterm_parser.XTermParser``.
- ``keyboard``: ``_xterm_parser`` (its constants, patterns and ``_sequence_to_key_events``: only
  whole sequences that it knows reach it).
- ``key_gate``: ``Message._stop_propagation`` (a key that nobody else will see).
- ``outliving``: ``MessagePump._dispatch_message``, ``_flush_next_callbacks``, ``_next_callbacks``,
  ``Screen._invoke_and_clear_callbacks``, ``Widget._get_box_model``, ``Timer._skip``,
  ``App._handle_exception``, ``_callback.invoke`` (an error ends neither a widget nor the cockpit).
- ``partial_update``: ``_compositor.ChopsUpdate`` (what a partial update sends).
- ``cached_stylesheet``: ``Stylesheet._variables`` (what was parsed stays parsed).

``app.py`` overrides ``App._display`` and ``_handle_exception`` with what stands here, looks at
``_screen_stacks``, and clears ``StylesCache.get_inner_outer``, which keeps a thousand widgets.
"""
