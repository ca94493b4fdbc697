"""What goes into the model: manifests, audio, synthetic speech, mixtures, batches."""

SAMPLE_RATE = 16_000  # Hz, of all samples: files are resampled when they are read
