"""The competitors, a module each: `prepare(case, threads)` returns a call that runs so many steps."""
