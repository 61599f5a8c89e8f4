"""The language of rows: only what is certainly in another language is left out."""

import pytest

from tunesmith_jobs.generate.language import language_named, other_language, partly_other

NAMES = {
    "English": "en",
    "german": "de",
    "Deutsch": "de",
    "de": "de",
    "de-AT": "de",
    "ZH-cn": "zh",
    "Simplified Chinese": "zh",
    "Mandarin Chinese": "zh",
    "Brazilian Portuguese": "pt",
    "中文": "zh",
    "español": "es",
    "American English": "en",
    "English (informal)": "en",
    "German (Austria)": "de",
    "English or German": "",
    "English, German": "",
    "English and others": "",
    "various (multilingual)": "",
    "the user's language": "",
    "any": "",
    "": "",
    "Klingon": "",
    "Python": "",
}


@pytest.mark.parametrize(("name", "code"), NAMES.items())
def test_the_language_that_a_plan_names(name, code):
    assert language_named(name) == code


TEXTS = {
    "en": "Could you tell me how long the delivery of my new kettle will take?",
    "de": "Wie lange dauert die Lieferung meines neuen Wasserkochers, bitte?",
    "fr": "Combien de temps prendra la livraison de ma nouvelle bouilloire ?",
    "es": "¿Cuánto tiempo tardará en llegar mi nuevo hervidor de agua?",
    "pt": "Quanto tempo vai demorar a entrega da minha nova chaleira?",
    "it": "Quanto tempo ci vorrà per la consegna del mio nuovo bollitore?",
    "nl": "Hoe lang duurt het voordat mijn nieuwe waterkoker wordt geleverd?",
    "sv": "Hur lång tid tar det innan min nya vattenkokare levereras hem?",
    "pl": "Ile czasu zajmie dostawa mojego nowego czajnika elektrycznego?",
    "cs": "Jak dlouho bude trvat doručení mé nové rychlovarné konvice?",
    "tr": "Yeni su ısıtıcımın teslimatı ne kadar sürecek, söyler misiniz?",
    "vi": "Việc giao ấm đun nước mới của tôi sẽ mất bao lâu vậy?",
    "fi": "Kuinka kauan uuden vedenkeittimeni toimitus oikein kestää?",
    "hu": "Mennyi ideig tart az új vízforralóm kiszállítása hozzánk?",
    "ro": "Cât timp va dura livrarea noului meu fierbător de apă?",
    "ru": "Сколько времени займёт доставка моего нового чайника?",
    "uk": "Скільки часу займе доставка мого нового чайника?",
    "el": "Πόσο χρόνο θα πάρει η παράδοση του νέου μου βραστήρα;",
    "ar": "كم من الوقت سيستغرق توصيل الغلاية الجديدة الخاصة بي؟",
    "fa": "تحویل کتری جدید من چقدر طول می‌کشد؟",
    "he": "כמה זמן ייקח המשלוח של הקומקום החדש שלי?",
    "hi": "मेरी नई केतली की डिलीवरी में कितना समय लगेगा?",
    "th": "การจัดส่งกาต้มน้ำใหม่ของฉันจะใช้เวลานานเท่าไหร่",
    "zh": "我的新水壶需要多长时间才能送到?",
    "ja": "新しいやかんの配達にはどのくらい時間がかかりますか?",
    "ko": "새 주전자 배송에는 시간이 얼마나 걸립니까?",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_in_its_own_language_and_in_none_of_most_others(code):
    assert other_language(TEXTS[code], code) == ""
    missed = [wanted for wanted in TEXTS if wanted != code and not other_language(TEXTS[code], wanted)]
    assert len(missed) <= 1, missed


NOT_SURE = {
    "a word": ("en", "Okay!"),
    "a number": ("en", "42"),
    "names": ("en", "Giuseppe Verdi"),
    "a product": ("zh", "iPhone 15 Pro Max 256GB"),
    "foreign words in a sentence": ("de", "Das Meeting ist um 5 im Office, bring das Notebook mit"),
    "Latin names in Chinese": ("zh", "使用 GitHub Actions 部署 Kubernetes"),
    "a quotation": ("en", "Please translate 'Guten Morgen' for my colleague"),
    "code": ("de", "def add(first, second):\n    return first + second\n\nprint(add(1, 2))"),
    "data": ("de", '{"category": "billing", "priority": "high", "product": "Router X200"}'),
    "a query": ("ja", "SELECT name, price FROM products WHERE id = 5;"),
    "kanji alone": ("zh", "東京"),
    "a neighbour": ("no", "Hvor længe varer leveringen af min nye elkedel?"),
    "another script of the same language": ("sr", "Koliko dugo traje isporuka mog novog čajnika?"),
    "nothing": ("en", ""),
    "signs": ("en", "→ ✓ ★ … 🙂🙂🙂🙂🙂"),
}


@pytest.mark.parametrize(("wanted", "text"), NOT_SURE.values(), ids=NOT_SURE)
def test_what_is_not_sure_stays(wanted, text):
    assert other_language(text, wanted) == ""


def test_a_short_text_in_another_script_is_sure():
    assert other_language("Сколько?", "en") == "a language in Cyrillic letters"
    assert other_language("猫は何色ですか?", "en")
    assert other_language("四季常青", "de") == "a language in Chinese letters"


def test_of_a_long_text_the_beginning_is_looked_at():
    assert other_language(TEXTS["fr"] * 20_000, "en") == "French"


SWITCHED = "The delivery takes three days, 而包裹明天就会送到您家, so please be at home."


def test_a_text_that_falls_into_another_script_is_partly_in_another_language():
    assert other_language(SWITCHED, "en") == ""
    assert partly_other(SWITCHED, "en") == "a language in Chinese letters"
    assert partly_other(SWITCHED, "en", beside="What does 明天 mean?") == "", "the prompt is about it"
    assert partly_other("The word 你好 means hello.", "en") == ""
    assert partly_other("使用 GitHub Actions 部署 Kubernetes 和 Docker Compose 的服务", "zh") == ""
    assert partly_other("Der Router Omega heißt so nach dem Ω.", "de") == ""
