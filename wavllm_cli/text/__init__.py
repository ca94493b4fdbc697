"""What all who read words share: normalisers, words and their likeness, languages."""
