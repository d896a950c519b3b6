"""An entry point that leads to a module without hooks."""
