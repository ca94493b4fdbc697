"""From hypotheses to figures: normalisers, metrics with 95 % intervals, and the report. Nothing here imports torch."""
