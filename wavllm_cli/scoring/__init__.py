"""From hypotheses to figures: metrics with 95 % intervals, and the report. Nothing here imports torch."""
