"""A trained run as one folder: model, pipeline, runner, card, and how well it agrees."""
