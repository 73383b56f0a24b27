"""A caption for every photo: from a vision-language model, or from a CLIP that fills in a form."""
