"""What the commands do, as plain functions: an experiment and options in, a result out, nothing printed."""
