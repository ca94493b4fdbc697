"""Asks a chat model many things: what was answered is never paid twice, and nothing that went wrong is hidden."""
