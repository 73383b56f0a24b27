"""What every photo shows, in words: by a vision-language model, or by a CLIP that fills in a form."""
