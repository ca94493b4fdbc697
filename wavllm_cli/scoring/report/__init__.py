"""What scoring found, as files and on a terminal: tables made once, rendered by each medium."""
