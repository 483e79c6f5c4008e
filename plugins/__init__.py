"""The built-in plugins, installed as `automl_plugins` and found through entry points like anybody else's plugin."""
