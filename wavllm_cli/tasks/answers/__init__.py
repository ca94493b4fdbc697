"""Readers of free answers: the one choice, emotion, yes or no that an answer commits to, if it commits to one."""
