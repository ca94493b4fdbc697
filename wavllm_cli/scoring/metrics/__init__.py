"""One metric a module, and the registry of all of them."""
