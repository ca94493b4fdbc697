"""Real backbones for machines with or without the Hugging Face hub: listed, fetched, converted once."""
