"""What goes into the model: manifests, audio, synthetic speech, mixtures, batches."""
