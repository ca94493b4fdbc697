"""Text to speech: rows whose `speech_text` waits for a voice are given one by `wavllm prep speak`.

An engine is a class of `engine.Engine` in a module of its own, named in `registry.ENGINES`. It says which voices it has
for a language and makes samples of a text; what is common – spreading voices over rows, keeping clips by what they are
made of, several processes, rows that fail – is in `command`, `clips` and `voices`.
"""
