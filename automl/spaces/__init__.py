"""Search spaces: parameters, their merging from plugins, YAML and the command line, and sampling. No torch."""
