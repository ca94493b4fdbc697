import pytest

from wavllm_cli.corpora.targets import transcription, translation
from wavllm_cli.errors import UsageError


def test_a_transcription_keeps_the_text_and_is_asked_for_as_it_is_spoken():
    found = transcription("“Don’t,” she said.", "en")
    assert (found["target"], found["transcript"], found["task"]) == ("don't she said", "“Don’t,” she said.", "asr")
    assert transcription("(Laughter) Well.", "en", spoken=" Well.")["target"] == "well"
    assert transcription("ISI", "tr")["target"] == "ısı"


def test_a_translation_is_as_it_stands_and_its_language_is_named():
    found = translation("Hello.", "English", "„Hallo", "sv_se")
    assert (found["target"], found["language"], found["target_language"]) == ("„Hallo", "en", "sv-SE")
    assert found["prompt"] == "Translate the audio clip into Swedish."
    with pytest.raises(UsageError, match="xx has no known name"):
        translation("Hello.", "en", "x", "xx")
