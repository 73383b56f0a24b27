"""Training of the two branches and the body encoder on cached latents; imports the models, never the reverse."""
