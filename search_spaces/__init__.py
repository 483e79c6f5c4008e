"""The search spaces that come with automl, one YAML file each; `automl spaces` lists them."""
