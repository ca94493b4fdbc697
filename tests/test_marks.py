import pytest

from wavllm_cli.corpora.marks import spoken_words, without_marks

SWITCHBOARD = {
    "okay [silence] [laughter] [vocalized-noise] so": "okay so",
    "[laughter-yeah] [Laughter-IT'S]": "yeah it's",
    "[laughter-no[t]-] [laughter--[wh]at] [laughter-it'n/isn't]": "no at it'n",
    "wh[at]- -[wh]at [wh]at wh[at]": "wh at at wh",
    "[said/meant] [lem[guini]-/linguini] ab[c]-/d]": "said lem ab",
    "{coined} <b_aside> us_1 okay_12 <e_aside>": "coined us okay",
    "i._b._m. 'cause my parents' house wh- -at": "i b m 'cause my parents' house wh at",
    "[[silence]": "",
}
FISHER = {
    "so (( the thing )) is": "so the thing is",
    "[laughter] [mn] [[skip]] (( )) ?": "",
    "an- and u._s. is *zork": "an and u s is zork",
    "<german (( ja wohl ))> oh": "ja wohl oh",
    "twenty-one mm-hm": "twenty one mm hm",
}


@pytest.mark.parametrize("corpus, lines", [("switchboard", SWITCHBOARD), ("fisher", FISHER)])
def test_words_are_what_is_left(corpus, lines):
    assert {line: spoken_words(without_marks(line, corpus)) for line in lines} == lines
