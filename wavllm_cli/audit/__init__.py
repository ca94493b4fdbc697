"""What is in manifests, and what is wrong with them, before anything is trained on it."""
