from wavllm_cli.data.texts import Texts


def test_texts_come_back_as_they_were():
    texts, given = Texts(), ["a.wav", "", "übung/größe.flac", "", "日本.wav"]
    for text in given:
        texts.append(text)
    assert list(texts) == given and len(texts) == len(given)
