"""What a model may be asked to do with a recording: a file for each task, found by `registry`."""
