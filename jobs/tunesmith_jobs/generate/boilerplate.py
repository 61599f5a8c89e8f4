"""Wordings by which a model speaks of itself or declines, in the languages that people ask for. Pure.

Each language has a row in each of two tables. A decline is looked for in the first sentences only, and
outside of quotation marks: in a story, anybody may decline.
"""

import re

BEGINNING = 240  # characters in which a decline is looked for
_QUOTES = "\"'“„«‚「『‘"

_AI = (
    r"(ai|a\.i\.|artificial intelligence|(large |ai )?language model)\b"
    r"(?! (company|companies|team|startup|lab|researcher|engineer|developer|expert|student|ethicist"
    r"|teacher)\b)"
)
_SELVES = {
    "English": rf"\b(as|i'?m|i am) (just |only |merely |simply )?an? {_AI}"
    r"|\bi (do not|don't) have (any )?(personal |own )*(opinions|feelings|beliefs|emotions"
    r"|experiences|preferences)\b"
    r"|\bi (do not|don't) have (the ability to browse|access to (the internet|real-time))"
    r"|\bmy (knowledge cutoff|training data (only )?(goes|ends|includes))\b",
    "German": r"\b(als|ich bin) (nur |lediglich |bloß )?(eine? |reine[sr]? )?"
    r"(ki\b|künstliche intelligenz|(ki-?)?sprachmodell|großes sprachmodell)",
    "French": r"\b(en tant (qu'|que )|je (ne )?suis (qu'|juste |seulement |simplement )?)(une? )?"
    r"(ia\b|intelligence artificielle|(grand )?modèle (de langage|linguistique)|assistant (ia|virtuel)\b)",
    "Spanish and Portuguese": r"\b(como|soy|sou) (solo |sólo |solamente |apenas |só )?(una? |uma? |um )?"
    r"(ia\b|intelig[eê]ncia artificial|modelo de (lenguaje|linguagem|ia\b))",
    "Italian": r"\b(in quanto|come|sono) (solo |soltanto |semplicemente )?(un'|una |un )?"
    r"(ia\b|intelligenza artificiale|modello (linguistico|di linguaggio))",
    "Dutch": r"\b(als|ik ben) (slechts |maar |alleen )?(een )?(ai\b|(ai-)?taalmodel"
    r"|kunstmatige intelligentie)",
    "Polish": r"\b(jako|jestem) (tylko )?(ai\b|model(em)? językowy(m)?|sztuczn[aą] inteligencj[aą])",
    "Czech and Slovak": r"\b(jako|ako|jsem|som) (jen |pouze |iba )?(ai\b|jazykový model"
    r"|umělá inteligence|umelá)",
    "Russian": r"\b(как|я) (— |- )?(всего лишь |лишь |просто |только )?(ии\b|ии-"
    r"|искусственный интеллект|языковая модель)",
    "Ukrainian": r"\b(як|я) (— |- )?(лише |просто |тільки )?(ші\b|штучний інтелект|мовна модель)",
    "Chinese": r"(作为|作為|身为|身為|我(只|仅仅|僅)?是)(一个|一個|一名|一种|一種|个)?"
    r"(ai|人工智能|人工智慧|(大型|大)?(语言|語言)模型)",
    "Japanese": r"(ai|人工知能|言語モデル)(アシスタント|モデル)?(として|なので|であるため)"
    r"|(私|わたし)は(ただの|単なる)?(ai|人工知能|言語モデル)",
    "Korean": r"(ai|인공지능|언어 ?모델)(로서|으로서|이라서|라서|이기 때문|이므로)",
    "Turkish": r"\bbir (ai |yapay zeka )?(yapay zeka|dil modeli)( \w+)? olarak"
    r"|\bben (sadece )?bir (yapay zeka|dil modeli)",
    "Arabic": r"(بصفتي|باعتباري|أنا|كوني) (مجرد )?(نموذج|ذكاء|مساعد ذك)|كنموذج لغ",
    "Hindi": r"(एआई|ai|भाषा मॉडल|कृत्रिम बुद्धिमत्ता).{0,12} के रूप में|मैं (सिर्फ |केवल )?एक (एआई"
    r"|ai|भाषा मॉडल)",
    "Vietnamese": r"(là|tôi là) (một )?(ai\b|trí tuệ nhân tạo|mô hình ngôn ngữ)",
    "Indonesian": r"\b(sebagai|saya adalah) (sebuah )?(ai\b|model bahasa|kecerdasan buatan|asisten ai)",
    "Swedish, Danish, Norwegian": r"\b(som|jag är|jeg er) (bara |kun |bare )?(en |ett |et )?"
    r"(ai\b|ai-|språkmodell|sprogmodel|artificiell intelligens|kunstig intelligens)",
    "Finnish": r"\b(tekoälynä|kielimallina|olen (vain )?(tekoäly|kielimalli))",
    "Hungarian": r"\b(nyelvi modellként|mesterséges intelligenciaként)",
    "Romanian": r"\bca (un )?(model de limbaj|inteligență artificială|ia\b)",
    "Greek": r"\bως (ένα )?(μοντέλο (τεχνητής|γλώσσας)|γλωσσικό μοντέλο|τεχνητή νοημοσύνη)",
    "Hebrew": r"כ(מודל שפה|בינה מלאכותית)|אני (רק )?(מודל שפה|בינה מלאכותית)",
    "Thai": r"ในฐานะ(โมเดลภาษา|ปัญญาประดิษฐ์|เอไอ|ai)",
}
_DECLINES = {
    "English": r"\bi('m| am)?( just| simply| currently| afraid i| really)? ?"
    r"(can't|cannot|can not|cant|won't|will not|(am |'m )?(unable|not able|not going|not comfortable)( to)?)"
    r" (to )?((help|assist)(ing)?\b(?! (but|it\b|\w+ing\b))|comply|fulfil|engage (in|with)|discuss"
    r"|do (that|this|so)\b"
    r"|(provide|give|share|create|write|generate|process|complete|answer|answering|continue"
    r"|respond to|support)"
    r"( you)?( with)?( to)? (that|this|it|such|any|the|your)?\b ?(specific |kind of |type of )?"
    r"(request|question|information|content|that|it|task|topic|prompt)?\W*$)"
    r"|\bi (can't|cannot|am unable to|must refuse to|won't) (provide|process|answer|fulfil|complete"
    r"|create|write|generate)"
    r" (this|that|such|your) ?(kind of |type of )?(request|question|information|content|task)?"
    r"|\bi (can't|cannot|am unable to|'m unable to|am not able to) (give|provide|offer)"
    r" (you )?(with )?(medical|legal|financial|the help that|harmful)\b"
    r"|\bnot appropriate for me to\b"
    r"|\bi (must|have to|need to) (respectfully |politely )?(decline|refuse)\b"
    r"|(violates?|(goes )?against|conflicts? with|not allowed by) (my|our|openai'?s|anthropic'?s|google'?s)"
    r" (\w+ ){0,2}(guidelines|polic(y|ies)|programming|terms|principles)",
    "German": r"\b(kann|darf|möchte|werde) (ich )?.{0,40}\b(nicht|keine?n?) .{0,30}"
    r"(helfen|ratschläge geben|behilflich|beantworten|erfüllen|unterstützen|bearbeiten|nachkommen"
    r"|weiterhelfen|auskunft|sagen\W*$)"
    r"|\bich bin (leider )?nicht in der lage\b|\bgegen meine (\w+ )?(richtlinien|grundsätze|regeln"
    r"|vorgaben)",
    "French": r"\bje ne (peux|suis|pourrai) (malheureusement )?pas .{0,24}"
    r"(aider|répondre|fournir|satisfaire|traiter|donner suite|assister|le faire)"
    r"|(enfreint|contraire à|contre|viole) mes (\w+ )?(règles|principes|directives|lignes)",
    "Spanish": r"\bno (puedo|me es posible|estoy en condiciones de|soy capaz de|podré) .{0,12}"
    r"(ayudar|proporcionar|responder|cumplir|asistir|atender|opinar|hacer eso)"
    r"|(viola|infringe|contra|incumple) mis (\w+ )?(normas|directrices|políticas|principios)",
    "Portuguese": r"\bnão (posso|consigo|me é possível|sou capaz de|poderei) .{0,12}"
    r"(ajudar|fornecer|responder|atender|cumprir|auxiliar)"
    r"|(viola|contra) (as )?minhas (\w+ )?(diretrizes|políticas|normas|regras)",
    "Italian": r"\bnon (posso|sono in grado di|mi è possibile|potrò) .{0,12}"
    r"(aiutar|fornir|risponder|soddisfare|assister|farlo)|viola le mie (\w+ )?(linee|regole|politiche)",
    "Dutch": r"\b(kan|mag) (ik )?.{0,40}\b(niet|geen) .{0,20}(helpen|beantwoorden|uitvoeren|voldoen"
    r"|verstrekken)"
    r"|tegen mijn (\w+ )?(richtlijnen|regels)",
    "Polish": r"\bnie (mogę|jestem w stanie|potrafię) .{0,16}(pomóc|odpowiedzieć|spełnić|udzielić"
    r"|zrealizować)",
    "Czech and Slovak": r"\b(nemohu|nemůžu|nejsem schop\w+|nemôžem) .{0,16}(pomo|odpově|odpoved"
    r"|splnit|poskytn)"
    r"|\bs tím .{0,10}nemohu",
    "Russian": r"\bне (могу|в состоянии|имею возможности) .{0,16}(помочь|ответить|выполнить"
    r"|предоставить|обсуждать)"
    r"|нарушает мои (правила|принципы)",
    "Ukrainian": r"\bне (можу|в змозі) .{0,16}(допомогти|відповісти|виконати|надати)",
    "Chinese": r"(抱歉|遗憾|遺憾|对不起|對不起|不好意思|我).{0,8}(无法|不能|無法|不便)"
    r".{0,4}(帮助|幫助|帮到|协助|協助|满足|滿足|提供(这|此|该|这些|相关|任何|您|你|。|$)|回答(您|你|这|此|该|這)"
    r"|完成(您|你|这|此|這)|回答$)|违反(了)?我的.{0,6}(准则|政策|规定|原则)",
    "Japanese": r"(お手伝い|お答え|お応え|お力|回答|対応|提供|ご要望).{0,14}"
    r"(できません|いたしかねます|致しかねます|できかねます|られません)|答えられません|応えられません",
    "Korean": r"(도와|도움|답변|응답|요청).{0,16}(없습니다|어렵습니다|못합니다|없어요)",
    "Turkish": r"\b(cevap veremem|yanıt veremem|yardımcı olamam|yardımcı olamıyorum|yardım edemem"
    r"|(yanıt|cevap)layamam|yerine getirem|sağlayamam)",
    "Arabic": r"(لا (أستطيع|يمكنني|أقدر)|لست قادر).{0,24}(مساعد|الإجابة|تقديم|تلبية|الرد)",
    "Hindi": r"(मदद|सहायता|उत्तर|जवाब|प्रदान|अनुरोध).{0,20}(नहीं (कर|दे) सक(ता|ती)|असमर्थ)",
    "Vietnamese": r"tôi (không thể|không được phép) .{0,12}(giúp|hỗ trợ|cung cấp|trả lời|thực hiện)",
    "Indonesian": r"\bsaya tidak (dapat|bisa) .{0,12}(membantu|memenuhi|menjawab|memberikan)",
    "Swedish, Danish, Norwegian": r"\bkan (jag|jeg)? ?(tyvärr |desværre |dessverre )?(inte|ikke) .{0,16}"
    r"(hjälpa|svara|hjælpe|besvare|hjelpe|svare)",
    "Finnish": r"\b(en|emme) (voi|pysty) .{0,12}(auttaa|vastata|toteuttaa)",
    "Hungarian": r"\bnem (tudok|tudom|áll módomban) .{0,20}(segít|válaszol|teljesít)",
    "Romanian": r"\bnu (pot|sunt în măsură să) .{0,12}(ajut|răspund|ofer|îndeplini)",
    "Greek": r"δεν (μπορώ|είμαι σε θέση) να .{0,10}(βοηθ|απαντ|παρ[αέ]σχ)",
    "Hebrew": r"(לא (יכול|יכולה)|אינני יכול\w?) .{0,12}(לעזור|לענות|לספק|לסייע)",
    "Thai": r"ไม่สามารถ.{0,20}(ช่วย|ตอบ|ให้ข้อมูล)",
}


def _any_of(wordings: dict[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{wording})" for wording in wordings.values()), re.IGNORECASE)


_SELF = _any_of(_SELVES)
_DECLINE = _any_of(_DECLINES)
# A speaker before a colon or quotation marks
_TOLD = re.compile(r"\w[:：,]? ?[\"„“«「『]|\w:\s")
# A task that has words like these may want a response that declines.
_DECLINING = re.compile(
    r"declin|refus|reject|apolog|sorry|cannot|can't|not able|ablehn|absag|refuser|rechaz|recus|rifiut|отказ"
    r"|拒绝|拒絕|断る|拒否|거절",
    re.IGNORECASE,
)


def speaks_of_its_writer(response: str, task: str) -> str:
    """The words by which a response says that a model wrote it; empty if none do, or if the task has some."""
    return "" if _SELF.search(task) else _found(_SELF, response)


def declines(response: str, task: str) -> str:
    """The words by which a response declines; empty if none do, or if the task may want that."""
    if _DECLINING.search(task) or response.lstrip()[:1] in _QUOTES:
        return ""
    beginning = response.lstrip()[:BEGINNING]
    sentences = re.findall(r"[^.!?。！？\n]+", beginning)[:2]  # one sentence, or an apology and one
    own = [sentence for sentence in sentences if not _TOLD.search(sentence)]
    return next((found for sentence in own if (found := _found(_DECLINE, sentence))), "")


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text.replace("\u2019", "'"))
    return match[0].strip()[:60] if match else ""
